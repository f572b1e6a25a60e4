import json
import textwrap

import pytest

from jaxrain import bench
from jaxrain.speed import networks, turns
from jaxrain.speed.turns_test import WORKER


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--repeats", "0"], "--repeats 0"),
        (["--json", "no/b.json"], "no/b.json"),
        (["--run", "no/run"], "no/run"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(words, names, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert bench.main(words) == 2
    error = capsys.readouterr().err
    assert names in error
    assert error.count("\n") == 1


def test_a_run_whose_chains_have_no_crps_is_sent_to_tune(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "report").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("")
    assert bench.main(["--run", "run"]) == 2
    assert "python -m jaxrain.tune run --chains dpmpp_2m:8" in capsys.readouterr().err
    trial = {"sampler": "dpmpp_2m", "steps": 8, "crps_mm": 1.0, "seconds": 1.0}
    (tmp_path / "run" / "report" / "tune.json").write_text(json.dumps({"trials": [trial]}))
    assert bench.main(["--run", "run"]) == 2
    assert "DDIM in 250" in capsys.readouterr().err


def test_without_pytorch_only_our_own_rows(monkeypatch):
    monkeypatch.setattr(
        bench.importlib.util, "find_spec", lambda name: None if name == "torch" else object()
    )
    systems, notes = bench.present(bench.SYSTEMS, quick=True)
    assert [system.name for system in systems] == ["jaxrain"]
    assert notes[0] == "no row of torch eager_nchw: torch cannot be imported here"


@pytest.mark.parametrize("at_once", [False, True])
def test_what_ends_is_named_with_its_task_and_the_others_go_on(at_once, tmp_path, monkeypatch):
    (tmp_path / "some_worker.py").write_text(textwrap.dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ours = bench.System("jaxrain", "jit", "some_worker", only=("copy", "later"))
    other = bench.System("torch", "eager", "some_worker")
    monkeypatch.setattr(bench, "SYSTEMS", (ours, other))
    jobs = [
        {"task": task, "network": "-", "operations": 0} for task in ("copy", "impossible", "later")
    ]
    notes = []
    rows = bench._rows([ours, other], jobs, 2, notes, at_once)
    of_ours, of_torch = (
        [row["task"] for row in rows if row["system"] == name] for name in ("jaxrain", "torch")
    )
    assert of_ours == ["copy", "later"]
    assert of_torch == (["copy", "later"] if at_once else ["copy"])
    where = "impossible -" if at_once else "impossible - and later"
    assert notes == [f"no row of torch eager, {where}: no such card"]


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [[], ["--at-once"]])
def test_a_tiny_network_end_to_end(at_once, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(networks.peak_jobs, "__defaults__", (64, 1024, "float32"))
    monkeypatch.setattr(turns, "SECONDS_A_REPETITION", 0.001)
    path = tmp_path / "bench.json"
    words = ["--quick", "--network", "tiny", "--repeats", "2", "--json", str(path), *at_once]
    assert bench.main(words) == 0
    rows = json.loads(path.read_text())
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]
    tasks = {row["task"] for row in rows}
    assert tasks == {
        *("gemm", "copy", "forward", "train_step", "sampling_step"),
        *("compile_cold", "compile_warm", "loader"),
    }
    for row in rows:
        assert 0 <= row["low"] <= row["seconds"] <= row["high"]
    out = capsys.readouterr().out
    assert out.count("| tiny |") == sum(row["network"] == "tiny" for row in rows)
    assert "loader: " in out
