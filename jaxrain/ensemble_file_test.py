"""An ensemble's file is whole or goes on, whatever happens to the command that writes it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import netCDF4
import numpy as np
import pytest
import xarray as xr

from jaxrain import ensemble_file, sample
from jaxrain.downscaler import load
from jaxrain.ensemble_file import write_ensemble
from jaxrain.ensembles import parts
from jaxrain.ensembles.drawing import Item
from jaxrain.pairs.cases import cases
from jaxrain.pairs.store import open_store
from jaxrain.sample_test import fails, same
from jaxrain.verification.forecast import open_forecast


def test_an_interrupted_command_goes_on_where_it_was(run, whole, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.nc"
    save, count = parts.save_part, 0

    def stop_after_two(*arguments):
        nonlocal count
        count += 1
        if count > 2:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(ensemble_file, "save_part", stop_after_two)
    assert sample.main([str(run), "--output", str(output)]) == 130
    assert not output.exists()
    monkeypatch.undo()
    assert sample.main([str(run), "--output", str(output), "--seed", "1"]) == 2
    assert "seed was 0, now it is 1" in capsys.readouterr().err
    assert sample.main([str(run), "--output", str(output)]) == 0
    assert "2 of 6 fields were drawn before" in capsys.readouterr().out
    assert not parts.parts_folder(output).exists()
    same(output, whole)


def test_one_command_at_a_time_makes_an_output(run, tmp_path, capsys):
    output = tmp_path / "out.nc"
    with parts.open_parts(output, {}):
        for words in ([], ["--members", "4", "--overwrite"]):
            error = fails(capsys, run, "--output", output, *words)
            assert f"{output} is being made by process {os.getpid()} on " in error
            assert error.endswith("; wait for it, or choose another --output\n")
    assert not output.exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_kill_9_and_start_again_changes_nothing(run, tmp_path, suffix):
    if suffix == "zarr":
        pytest.importorskip("zarr")
    words = ["--members", "40", "--batch", "1", "--steps", "20"]
    command = [sys.executable, "-m", "jaxrain.sample", str(run), *words, "--output"]
    straight, killed = tmp_path / f"straight.{suffix}", tmp_path / f"killed.{suffix}"
    subprocess.run([*command, str(straight)], check=True)
    process = subprocess.Popen([*command, str(killed)])
    while len(list(parts.parts_folder(killed).glob("*/*.npy"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.exists()
    subprocess.run([*command, str(killed)], check=True)
    same(straight, killed)


def test_the_order_of_work_changes_nothing(run, whole):
    downscaler = load(run)
    data, config = downscaler.config.data, replace(downscaler.config.sample, batch=7)
    (case,) = cases(open_store(data.store, data), data, "test", truth=False)
    items = [Item(hour, member) for member in (2, 0, 1) for hour in (1, 0)]
    with xr.open_dataset(whole) as written:
        expected = written["precipitation"].transpose("time", "member", ...).values
    for item, rain in downscaler.prepare(case, config)(items):
        np.testing.assert_allclose(rain, expected[item], atol=1e-3)


@pytest.mark.slow
def test_the_number_of_devices_changes_nothing(run, whole, tmp_path):
    output = tmp_path / "four.nc"
    command = [sys.executable, "-m", "jaxrain.sample", str(run), "--output", str(output)]
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run(command, check=True, env=os.environ | devices)
    with xr.open_dataset(output) as four, xr.open_dataset(whole) as one:
        np.testing.assert_allclose(four["precipitation"], one["precipitation"], atol=1e-3)


def test_several_cases_are_groups_of_one_file(run, tmp_path):
    windows = [
        {"file": "rain.nc", "time": f"2020-07-01T0{hour}", "y": 8, "x": x, "size": 20}
        for hour, x in [(6, 0), (7, 30)]
    ]
    downscaler = load(run, [f"data.windows={windows}"])
    data = downscaler.config.data
    found = cases(open_store(data.store, data), data, "test", truth=False)
    output = tmp_path / "windows.nc"
    write_ensemble(downscaler, found, output, {})
    with netCDF4.Dataset(output) as file:
        assert list(file.groups) == [case.name for case in found]
        assert file.jaxrain_sampler == "ddpm"
    with xr.open_dataset(output, group=found[1].name) as dataset:
        assert list(dataset.attrs["origin"]) == [8, 30]
        assert dataset["precipitation"].shape == (3, 1, 20, 20)


@pytest.fixture
def tiny_disk(small_disk):
    """A file system of 40 KiB, where we may mount one."""
    return small_disk("40k")


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(run, whole, tiny_disk, capsys):
    output = tiny_disk / "out.nc"
    assert sample.main([str(run), "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert "no space left" in error
    assert error.count("error:") == 1
    assert "Traceback" not in error
    assert not output.exists()
    left = [path for path in tiny_disk.rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix == ".npy"]  # what was drawn is kept
    assert not [path for path in left if "partial" in path.name]
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)
    assert sample.main([str(run), "--output", str(output)]) == 0
    same(output, whole)


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path, capsys):
    folder = tmp_path / "closed"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k,ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    try:
        assert sample.main([str(run), "--output", str(folder / "out.nc")]) == 2
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    error = capsys.readouterr().err
    assert "read-only" in error
    assert error.count("error:") == 1


def test_a_zarr_store_interrupted_over_its_products_is_the_file(run, whole, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    output = tmp_path / "out.zarr"
    save = parts.save_part

    def stop_at_the_second_hours_products(folder, part, fields):
        if part.hour == 1 and isinstance(part.member, str):
            raise KeyboardInterrupt
        save(folder, part, fields)

    monkeypatch.setattr(ensemble_file, "save_part", stop_at_the_second_hours_products)
    assert sample.main([str(run), "--output", str(output)]) == 130
    assert not output.exists()
    monkeypatch.undo()
    assert sample.main([str(run), "--output", str(output)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]
    with xr.open_dataset(output, engine="zarr") as store, xr.open_dataset(whole) as file:
        xr.testing.assert_equal(store.load(), file.load())
        assert set(store.attrs) == set(file.attrs)
        assert store.attrs["jaxrain_config"] == file.attrs["jaxrain_config"]
    with open_forecast(output) as ours, open_forecast(whole) as theirs:
        (case,), (expected,) = ours.cases, theirs.cases
        assert (case.area, case.origin) == (expected.area, expected.origin)
        np.testing.assert_array_equal(case.members(1), expected.members(1))
