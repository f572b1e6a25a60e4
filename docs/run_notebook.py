"""Runs a notebook's cells in order and keeps in it what they show.

    python docs/run_notebook.py docs/notebook.ipynb

It does what `jupyter execute` does for cells of plain Python (printed lines, the last expression,
matplotlib's figures), without Jupyter's packages, so that a test can run it too. It must be started
where the cells' relative paths begin: in a checkout after `make demo`.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Runs the code cells in one namespace and gives each its outputs and its number.

    Args:
      notebook: content of an .ipynb of format 4; changed in place.

    Returns:
      The namespace that the cells leave.

    Raises:
      Exception: whatever a cell raises; later ones are not run.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        cell["outputs"] = _run_cell("".join(cell["source"]), number, namespace)
        cell["execution_count"] = number
    return namespace


def _run_cell(source: str, number: int, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    import matplotlib.pyplot as plt

    tree = ast.parse(source, f"cell {number}")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), namespace)
        if last is not None:
            expression = ast.Expression(last.value)
            value = eval(compile(expression, f"cell {number}", "eval"), namespace)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None and not source.rstrip().endswith(";"):
        shown = {"data": _text(repr(value)), "execution_count": number, "metadata": {}}
        outputs.append({"output_type": "execute_result", **shown})
    for figure in map(plt.figure, plt.get_fignums()):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=70, bbox_inches="tight", metadata={"Software": None})
        picture = base64.b64encode(file.getvalue()).decode()
        shown = {"data": {"image/png": picture}, "metadata": {}}
        outputs.append({"output_type": "display_data", **shown})
    plt.close("all")
    return outputs


def _text(text: str) -> dict[str, list[str]]:
    return {"text/plain": text.splitlines(keepends=True)}


def main() -> None:
    """Runs the notebook that the first argument names, and writes it when every cell ran."""
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    run(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
