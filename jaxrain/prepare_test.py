import subprocess
import sys

import pytest

from jaxrain.prepare import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=/nowhere/at/all"], "data.root=/nowhere/at/all is no folder"),
        (["data.root=."], "no file matches data.fine="),
        (["data.variables=[u,v]"], "target=difference needs rain among the predictors"),
        (["data.lvels=[850]"], "did you mean 'data.levels'?"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "mine.yaml"
    config.write_text("data: {store: store, fine: ['rain/*'], coarse: ['era5/*']}\n")
    assert main(["--config", str(config), *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [config]


def test_help_is_quick_and_loads_nothing_heavy():
    code = "import sys, jaxrain.prepare as p\ntry: p.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(m in sys.modules for m in ('jax', 'numpy', 'pydantic')))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
