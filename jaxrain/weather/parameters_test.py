import eccodes
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.demo import write_demo
from jaxrain.weather.grib_messages import messages
from jaxrain.weather.parameters import kind_of, name_and_units


def _every_message(files):
    for path in files:
        try:
            yield from ((path, number, message) for number, message in messages(path))
        except InputError:
            continue  # not whole


def test_names_and_units_are_eccodes_own_for_every_real_message(shared_data):
    files = [path for path in sorted((shared_data / "grib").rglob("*")) if path.is_file()]
    count = 0
    for path, number, message in _every_message(files):
        try:
            handle = eccodes.codes_new_from_message(message)
        except eccodes.CodesInternalError:
            continue
        try:
            expected = tuple(
                eccodes.codes_get_string(handle, key) for key in ("shortName", "units")
            )
            assert name_and_units(message, handle) == expected, f"{path} message {number}"
            count += 1
        except eccodes.CodesInternalError:
            pass  # without tables for it
        finally:
            eccodes.codes_release(handle)
    assert count > 100


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, size=32, train_days=1, validation_days=0, test_days=0)
    return folder


def test_messages_of_other_hours_are_of_one_kind(demo):
    levels = [message for _, message in messages(next((demo / "era5").glob("era5_pl_*")))]
    assert len({kind_of(message) for message in levels}) == 5 * 4
    rain = [message for path in (demo / "cmpa").glob("*.GRB2") for _, message in messages(path)]
    assert len(rain) > 20
    assert len({kind_of(message) for message in rain}) == 1
