"""Rows of bench.json, and the table that README shows."""

import statistics
from collections.abc import Sequence
from typing import Any

from jaxrain.speed.turns import Measured

Row = dict[str, Any]


def summary(job: Row, system: tuple[str, str], measured: Measured) -> Row:
    """A row: the median with its quartiles, and operations over it in GFLOP/s.

    Args:
      job: `task`, `network`, `operations` of one step, `bytes` where it moves data alone, and
        `members` where a step draws several; the row is of one.
      system: whose it is, and in which mode.
      measured: one or more repetitions.
    """
    seconds = [each / job.get("members", 1) for each in measured.seconds]
    low, median, high = (
        statistics.quantiles(seconds, n=4, method="inclusive")
        if len(seconds) > 1
        else [seconds[0]] * 3
    )
    row = {
        "task": job["task"],
        "network": job["network"],
        "system": system[0],
        "mode": system[1],
        "seconds": median,
        "low": low,
        "high": high,
        "gflops": (measured.operations or job["operations"]) / median / 1e9,
        "peak_memory_mib": measured.peak_memory_mib,
        "precision": job.get("precision", "float32"),
        "batch": job.get("batch"),
    }
    return row | ({"gbytes_per_s": job["bytes"] / median / 1e9} if "bytes" in job else {})


def ratio(rows: Sequence[Row], row: Row) -> float | None:
    """How many times as fast, operation for operation, as PyTorch's best mode at the same task.

    Where both do the same operations this is the ratio of seconds. None without PyTorch, and where
    nothing is computed.
    """
    torch = [
        other
        for other in rows
        if other["system"] == "torch"
        and (other["task"], other["network"]) == (row["task"], row["network"])
    ]
    if not torch:
        return None
    best = min(torch, key=lambda other: other["seconds"])
    if not row["gflops"]:
        return float(best["seconds"] / row["seconds"])
    return float(row["gflops"] / best["gflops"])


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, with the share of the machine's peak and the ratio to PyTorch's best.

    A share of peak is nominal operations a second over the fastest matrix product of the same run;
    of a copy, bytes a second over the fastest.
    """
    flops = max(row["gflops"] for row in rows if row["task"] == "gemm")
    bandwidth = max((row["gbytes_per_s"] for row in rows if row["task"] == "copy"), default=0)
    lines = [
        "| task | network | system | seconds (quartiles) | of peak | x best PyTorch | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = None if row["system"] == "torch" else ratio(rows, row)
        memory = row["peak_memory_mib"]
        share = row["gbytes_per_s"] / bandwidth if row["task"] == "copy" else row["gflops"] / flops
        cells = [
            row["task"],
            row["network"],
            f"{row['system']} {row['mode']}",
            f"{row['seconds']:.4g} ({row['low']:.4g} to {row['high']:.4g})",
            f"{share:.0%}" if share else "",
            "" if times is None else f"{times:.2f}",
            "" if memory is None else f"{memory:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    precision = next(row["precision"] for row in rows if row["task"] == "gemm")
    peak = f"\nGEMM peak: {flops:.0f} GFLOP/s ({precision})"
    return "\n".join([*lines, peak + (f"; copy peak: {bandwidth:.1f} GB/s" if bandwidth else "")])
