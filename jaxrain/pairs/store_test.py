import json

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.store import open_store, save_array, save_json


def test_arrays_and_json_are_written_whole_or_not_at_all(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(3))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), [0, 1, 2])
    with pytest.raises(TypeError):
        save_json(tmp_path / "b.json", {"no": object()})
    with pytest.raises(ValueError, match="Object arrays"):
        save_array(tmp_path / "c.npy", np.asarray([object()]))
    assert not (tmp_path / "b.json").exists()
    assert not (tmp_path / "c.npy").exists()


def test_a_folder_that_is_no_finished_store_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match=r"no finished store.*jaxrain\.prepare"):
        open_store(tmp_path / "nothing")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        open_store(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 0}))
    with pytest.raises(InputError, match="format 0"):
        open_store(tmp_path)
