"""Where tests find real files. They are not part of the project; tests skip where absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real GRIB, NetCDF and radar files: $JAXRAIN_TEST_DATA, or one beside us."""
    folder = Path(os.environ.get("JAXRAIN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real files: set JAXRAIN_TEST_DATA to a folder like {folder.name}/")
    return folder
