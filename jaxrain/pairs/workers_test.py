import ctypes
import itertools
import os
import time

import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import contents
from jaxrain.pairs.workers import PrepareConfig, worker_count, workforce
from jaxrain.weather.guard import guarded
from jaxrain.weather.large_fields import in_turn


def quiet(line):
    pass


def _slow_first(piece):
    time.sleep(0.3 if piece == 0 else 0.0)
    return piece, os.getpid()


def _crash_on_3(piece):
    if piece == 3:
        ctypes.string_at(0)  # a null pointer, as in a C library
    return piece


def _die_once(piece):
    """Dies at the first call with a path; later it is there."""
    if piece.exists():
        return piece.name
    piece.touch()
    os.kill(os.getpid(), 9)
    return None


def _refuse_2(piece):
    if piece == 2:
        raise InputError("piece two is bad")
    return piece


def _names(count):
    return [f"file{piece}.grib" for piece in range(count)]


def test_results_come_in_order_from_several_processes():
    with workforce(PrepareConfig(workers=3)) as run:
        results = list(run(_slow_first, range(12), _names(12)))
        assert [piece for piece, _ in results] == list(range(12))
        assert os.getpid() not in {process for _, process in results}
        assert len({process for _, process in results}) > 1


def test_a_users_error_of_a_worker_is_raised_at_its_place():
    with workforce(PrepareConfig(workers=2)) as run:
        results = run(_refuse_2, range(50), _names(50))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(InputError, match=r"^piece two is bad$"):
            next(results)


def test_a_crash_in_a_c_library_is_one_line_that_names_the_file():
    with workforce(PrepareConfig(workers=2)) as run, pytest.raises(InputError) as caught:
        list(run(_crash_on_3, range(9), _names(9)))
    assert str(caught.value).startswith("file3.grib: the process that worked on it died")
    assert "\n" not in str(caught.value)


def _reads_here(path):
    return guarded(_process, path) == os.getpid()


def _process(path):
    print("as C libraries do")
    return os.getpid()


def _reads_badly(path):
    return guarded(_abort, path)


def _abort(path):
    if path.name == "file3.grib":
        os.abort()
    return path.name


def test_workers_read_without_a_second_process_and_a_bad_file_is_told_by_the_guard(tmp_path):
    files = [tmp_path / name for name in _names(5)]
    with workforce(PrepareConfig(workers=2)) as run:
        assert all(run(_reads_here, files, _names(5)))
        with pytest.raises(InputError) as caught:
            list(run(_reads_badly, files, _names(5)))
    assert str(caught.value) == (
        f"{files[3]}: cannot be read: the library that decodes it broke down (exit status -6); "
        "fetch the file again"
    )


def test_a_process_that_was_killed_for_other_reasons_costs_nothing(tmp_path):
    fragile = [tmp_path / name for name in "abcdefgh"]
    for path in fragile[:2] + fragile[3:]:
        path.touch()
    with workforce(PrepareConfig(workers=1)) as run:
        assert list(run(_die_once, fragile, _names(8))) == list("abcdefgh")


def _hold(path):
    with in_turn(path):
        begun = time.monotonic()
        time.sleep(0.05)
        return begun, time.monotonic(), os.getpid()


def test_large_fields_are_held_by_few_workers_at_once(tmp_path):
    path = tmp_path / "china.grib2"
    grid = (10).to_bytes(4, "big") + b"\3\0" + (42_000_000).to_bytes(4, "big")
    path.write_bytes(b"GRIB\0\0\0\2" + bytes(8) + grid)
    with workforce(PrepareConfig(workers=3, large_at_once=1)) as run:
        held = sorted(run(_hold, [path] * 9, _names(9)))
    assert len({process for *_, process in held}) > 1
    assert all(ends <= begins for (_, ends, _), (begins, *_) in itertools.pairwise(held))


def test_zero_workers_are_this_process():
    with workforce(PrepareConfig(workers=0)) as run:
        assert [process for _, process in run(_slow_first, [1, 2], _names(2))] == [os.getpid()] * 2


def test_as_many_as_there_are_processors_by_default():
    assert worker_count(PrepareConfig()) == len(os.sched_getaffinity(0))
    assert worker_count(PrepareConfig(workers=5)) == 5


def test_three_workers_make_the_store_that_one_process_makes(world, tmp_path):
    world.fill()
    stores = []
    for workers in (0, 3):
        config = world.config(store=str(tmp_path / f"with{workers}"))
        prepare(config, say=quiet, work=PrepareConfig(workers=workers))
        stores.append(contents(tmp_path / f"with{workers}"))
    assert stores[0] == stores[1]
    assert any(name.endswith(".nc") for name in stores[0])


def test_an_error_of_a_worker_is_the_same_line(world):
    world.fill()
    (world.root / "fine" / "bad.nc").write_text("no NetCDF at all")
    messages = []
    for workers in (0, 2):
        with pytest.raises(InputError) as caught:
            prepare(world.config(), say=quiet, work=PrepareConfig(workers=workers))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "bad.nc" in messages[0]


def test_a_cluster_that_is_not_there_is_one_line(world):
    pytest.importorskip("distributed")
    world.fill()
    work = PrepareConfig(cluster="nonsense://127.0.0.1:1")
    with pytest.raises(InputError, match="no dask scheduler answers there"):
        prepare(world.config(), say=quiet, work=work)


def test_a_cluster_needs_absolute_paths(world):
    work = PrepareConfig(cluster="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match=r"data.root=weather is a relative path"):
        prepare(world.config(root="weather"), say=quiet, work=work)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # tornado and distributed warn as they close
def test_a_cluster_makes_the_store_that_one_process_makes(world, tmp_path):
    distributed = pytest.importorskip("distributed")
    world.fill()
    prepare(world.config(store=str(tmp_path / "alone")), say=quiet)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        work = PrepareConfig(cluster=cluster.scheduler_address)
        prepare(world.config(store=str(tmp_path / "together")), say=quiet, work=work)
        with (
            workforce(work) as run,
            pytest.raises(InputError, match=r"^file3\.grib: the process that worked on it died"),
        ):
            list(run(_crash_on_3, range(5), _names(5)))
        (world.root / "fine" / "bad.nc").write_text("no NetCDF at all")
        config = world.config(store=str(tmp_path / "never"))
        with pytest.raises(InputError, match=r"bad\.nc"):
            prepare(config, say=quiet, work=work)
    assert contents(tmp_path / "alone") == contents(tmp_path / "together")
