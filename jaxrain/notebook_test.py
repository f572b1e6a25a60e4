"""The notebook in docs is kept true: it runs, on a run of the demo that hardly learned anything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxrain import prepare, train
from jaxrain.config import load_config

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))


def test_every_cell_was_executed_in_order():
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in shown)


def test_it_was_executed_with_the_demo_as_it_is():
    settings = load_config("demo").sample
    shown = json.dumps([cell.get("outputs") for cell in NOTEBOOK["cells"]])
    assert f"{settings.sampler} in {settings.steps} steps" in shown


@pytest.mark.slow
def test_the_cells_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--config", "demo", "train.steps=1", "train.batch_size=2", "model.inner_channel=8"]
    assert prepare.main(words) == 0
    assert train.main([*words, "train.checkpoint_every=1"]) == 0
    # A process of its own, whose warnings (of a day beyond the training range) are no errors.
    copy = tmp_path / "notebook.ipynb"
    copy.write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    command = [sys.executable, str(DOCS / "run_notebook.py"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    told = "".join(
        line
        for cell in cells
        for output in cell.get("outputs", ())
        for line in [*output.get("text", ()), *output.get("data", {}).get("text/plain", ())]
    )
    assert re.search(r"member: 8\b", told)
    apart = re.search(r"drawn alone: ([0-9.]+) mm apart", told)
    assert apart
    assert float(apart[1]) < 1e-3
