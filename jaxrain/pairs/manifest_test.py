import copy
import json

import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.manifest import parse_manifest, plain_name

WHOLE = {
    "format": 1,
    "config": {},
    "channels": ["u850", "tp"],
    "areas": [{"name": "area0", "projected": False}],
    "hours": [
        {
            "area": "area0",
            "time": "2022-06-01T00:00:00",
            "split": "train",
            "sources": ["a.nc"],
            "day": "20220601",
            "index": 0,
        }
    ],
    "static": [{"name": "land", "arrays": {"area0": "land.npy"}, "low": 0, "high": 1}],
    "statistics": {
        "fine_rain": {"min": 0, "max": 9},
        "target": {"std": 1.0},
        "channels": {"u850": {"min": 0, "max": 1}, "tp": {"min": 0, "max": 1}},
    },
}


def changed(path, value):
    manifest = copy.deepcopy(WHOLE)
    inside = manifest
    *way, last = path
    for key in way:
        inside = inside[key]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return json.dumps(manifest).encode()


def test_a_whole_manifest_comes_back_as_it_was(tmp_path):
    assert parse_manifest(json.dumps(WHOLE).encode(), tmp_path) == WHOLE


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc", "..", "", "a\\b", "a\0", "x" * 300])
@pytest.mark.parametrize(
    "place",
    [
        ("areas", 0, "name"),
        ("hours", 0, "day"),
        ("static", 0, "arrays", "area0"),
    ],
)
def test_no_name_in_it_leads_out_of_the_folder(tmp_path, name, place):
    with pytest.raises(InputError, match=r"manifest\.json is damaged: .*no plain name of a file"):
        parse_manifest(changed(place, name), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("channels", 0), "\udcff", "text that is no Unicode"),
        (("static", 0, "high"), 1e300, "static.0.high"),
        (("format",), 2, "store of format 2"),
        (("hours",), None, "hours is missing"),
        (("hours", 0, "area"), "area1", "there is no area 'area1'"),
        (("hours", 0, "time"), "yesterday", "'yesterday' is no time"),
        (("hours", 0, "index"), -1, "hours.0.index"),
        (("hours", 0, "split"), "x", "hours.0.split"),
        (("channels", 0), "w9", "'w9' is no predictor of ours"),
        (("channels", 0), "tp", "channels names something twice"),
        (("statistics", "channels", "tp"), None, "statistics.channels: tp is missing"),
        (("statistics", "target", "std"), 0.0, "statistics.target.std"),
        (("static", 0, "arrays", "area0"), None, "static: land is missing for area0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, path, value, says):
    with pytest.raises(InputError, match=says):
        parse_manifest(changed(path, value), tmp_path)


def test_text_that_is_no_manifest_is_one_line(tmp_path):
    for content in (b"", b"[]", b"{", b"\xff", b"[" * 9999, b'{"format": ' + b"9" * 5000 + b"}"):
        with pytest.raises(InputError) as error:
            parse_manifest(content, tmp_path)
        assert "\n" not in str(error.value)


def test_plain_names_pass():
    assert plain_name("land_area0_雨.npy") == "land_area0_雨.npy"
