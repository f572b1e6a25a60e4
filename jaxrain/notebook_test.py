"""The notebook in docs is kept true: it runs, on a run of the demo that hardly learned anything."""

import importlib.util
import json
from pathlib import Path

import pytest

from jaxrain import prepare, train

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))


def test_every_cell_was_executed_in_order():
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in shown)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*outside what training saw")  # which days those are may change
def test_the_cells_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--config", "demo", "train.steps=1", "train.batch_size=2", "model.inner_channel=8"]
    assert prepare.main(words) == 0
    assert train.main([*words, "train.checkpoint_every=1"]) == 0
    spec = importlib.util.spec_from_file_location("run_notebook", DOCS / "run_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    left = module.run(json.loads(json.dumps(NOTEBOOK)))
    assert dict(left["ensemble"].sizes)["member"] == 8
    assert float(left["difference"]) < 1e-3
