import subprocess
import sys
from pathlib import Path

import jaxrain


def test_without_its_libraries_it_says_how_to_get_them():
    root = str(Path(jaxrain.__file__).parents[1])
    command = [sys.executable, "-S", "-c", "import jaxrain"]  # -S: without installed packages
    environment = {"PYTHONPATH": root}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.count("Traceback") == 1
    last = said.stderr.splitlines()[-1]
    assert last.startswith("ImportError: jaxrain needs jaxlib, which this Python does not have: ")
    assert ". .venv/bin/activate" in last
    assert "pip install -e ." in last
