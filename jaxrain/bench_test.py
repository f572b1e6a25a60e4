import json

import pytest

from jaxrain import bench
from jaxrain.diffusion.operations import forward_operations
from jaxrain.diffusion.unet import UNetConfig


def test_operations_of_one_level_in_closed_form():
    w, size, inputs = 8, 16, 5
    config = UNetConfig(
        inner_channel=w, channel_mults=(1,), res_blocks=1, norm_groups=4, attn_res=()
    )
    pixels = size**2
    # In units of w^2 multiply-adds a pixel: 1 block down and 2 in the middle (18 each), 2 up (27
    # each and a shortcut of 2), and the attention's projections (4).
    squares = 18 + 2 * 18 + 2 * (27 + 2) + 4
    ends = 9 * (inputs + 1) * w
    embedding = 2 * w * 4 * w + 5 * w * w
    attention = 2 * pixels**2 * w
    expected = 2 * (pixels * (squares * w * w + ends) + embedding + attention)
    count = forward_operations(config, in_channels=inputs, image_size=size, batch=1)
    assert count == expected
    assert forward_operations(config, in_channels=inputs, image_size=size, batch=3) == 3 * count


def test_a_level_below_works_on_a_quarter_of_the_pixels():
    def count(edge, *mults):
        config = UNetConfig(inner_channel=8, channel_mults=mults, norm_groups=4, attn_res=(64,))
        return forward_operations(config, in_channels=2, image_size=edge)

    # Twice the edge: four times the pixels, but for the embedding and the attention's N x N.
    small, large = count(16, 1, 2), count(32, 1, 2)
    embedded = sum(2 * 8 * out for out in (8, 8, 16, 16, 16, 16, 16, 16, 16, 8, 8, 8))
    once = 2 * 2 * 8 * 32 + embedded
    scores = 2 * 2 * 16 * (8**2) ** 2
    assert large - once - 16 * scores == 4 * (small - once - scores)


def row(task, system, mode, seconds, gflops=10.0):
    return {
        "task": task,
        "network": "small",
        "system": system,
        "mode": mode,
        "seconds": seconds,
        "low": seconds,
        "high": seconds,
        "gflops": gflops,
        "peak_memory_mib": None,
    }


def test_ratio_is_to_the_best_mode_of_the_same_task():
    rows = [
        row("gemm", "jaxrain", "jit", 1.0, 40.0),
        row("gemm", "torch", "eager_nchw", 1.0, 20.0),
        row("forward", "jaxrain", "jit", 2.0),
        row("forward", "torch", "eager_nchw", 5.0),
        row("forward", "torch", "channels_last", 3.0),
        row("train_step", "torch", "eager_nchw", 0.1),
    ]
    assert bench.ratio(rows, rows[2]) == 1.5
    line = next(line for line in bench.table(rows).splitlines() if line.startswith("| forward"))
    assert "| 1.50 |" in line
    assert "| 25% |" in line  # of the faster product
    assert bench.ratio(rows[2:3], rows[2]) is None


def test_summary_is_median_quartiles_and_rate():
    found = bench.summary("forward", "small", ("torch", "x"), 6 * 10**9, [5, 1, 2, 4, 3], 7.0)
    assert (found["low"], found["seconds"], found["high"]) == (2, 3, 4)
    assert found["gflops"] == 2.0


@pytest.mark.parametrize(
    ("words", "names"),
    [(["--repeats", "0"], "--repeats 0"), (["--json", "no/b.json"], "no/b.json")],
)
def test_a_wrong_argument_is_named_in_one_line(words, names, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert bench.main(words) == 2
    error = capsys.readouterr().err
    assert names in error
    assert error.count("\n") == 1


def test_without_pytorch_only_our_own_rows(monkeypatch):
    monkeypatch.setattr(
        bench.importlib.util, "find_spec", lambda name: None if name == "torch" else object()
    )
    systems, note = bench._present_systems()
    assert [system for system, _ in systems] == ["jaxrain"]
    assert note == "no PyTorch rows: torch cannot be imported here"


@pytest.mark.slow
def test_a_tiny_network_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "GEMM_SIZE", 64)
    monkeypatch.setattr(bench, "SECONDS_A_REPETITION", 0.001)
    path = tmp_path / "bench.json"
    assert bench.main(["--network", "tiny", "--repeats", "2", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]
    assert {row["task"] for row in rows} == {"gemm", "forward", "train_step", "sampling_step"}
    for row in rows:
        assert 0 < row["low"] <= row["seconds"] <= row["high"]
        assert row["gflops"] > 0
    out = capsys.readouterr().out
    assert out.count("| tiny |") == sum(row["network"] == "tiny" for row in rows)
