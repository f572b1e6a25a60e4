import numpy as np
import pytest

from jaxrain.weather.fuzz import main, read_all
from jaxrain.weather.fuzz_files import damaged, whole_files


def test_the_files_that_are_damaged_are_whole_before(tmp_path):
    for name, content in whole_files().items():
        path = tmp_path / name
        path.write_bytes(content)
        assert read_all(path) == ("read", ""), name
        path.unlink()


def test_a_mutation_is_a_function_of_its_seed_and_number():
    files = whole_files()
    first, again, other = (
        damaged(files, np.random.default_rng((5, number))) for number in (1, 1, 2)
    )
    assert first == again != other
    assert first[1] != files.get(first[0])


@pytest.mark.slow
def test_two_hundred_damaged_files_are_read_or_refused_in_one_line(capsys):
    assert main(["--mutations", "200", "--seed", "1"]) == 0, capsys.readouterr().out
