"""Where tests find real files. They are not part of the project; tests skip where absent."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Whether a change is good is not left to chance: the same examples each time. Others are tried by
# `pytest --hypothesis-profile default`.
settings.register_profile("same_examples", derandomize=True)
settings.load_profile("same_examples")

ROOT = Path(__file__).parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real GRIB, NetCDF and radar files: $JAXRAIN_TEST_DATA, or one beside us."""
    folder = Path(os.environ.get("JAXRAIN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real files: set JAXRAIN_TEST_DATA to a folder like {folder.name}/")
    return folder
