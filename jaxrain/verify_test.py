import json
from html.parser import HTMLParser

import pytest

from jaxrain import verify
from jaxrain.verification.forecast_test import example


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    path = example(folder)
    assert verify.main([str(path), "--report", str(folder / "report")]) == 0
    return folder / "report"


def test_scores_keep_their_form(report):
    scores = json.loads((report / "scores.json").read_text())
    assert scores["hours"] == 5
    assert scores["points"] == 5 * 40 * 48 - 100
    for system in (scores["model"], *scores["baselines"].values()):
        for score in system.values():
            assert set(score) == {"value", "low", "high"}
        crps = system["crps_mm"]
        assert crps["low"] <= crps["value"] <= crps["high"]
    assert scores["model"]["crps_mm"]["value"] < scores["baselines"]["bilinear"]["crps_mm"]["value"]
    assert len(scores["rank_histogram"]) == 5
    assert len(scores["spectra"]["model"]) == len(scores["spectra"]["wavelength_km"])


class Links(HTMLParser):
    """Collects what a page would load, and whether its tags close."""

    def __init__(self):
        super().__init__()
        self.loads, self.images, self.open = [], 0, []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.loads += [attributes[name] for name in ("src", "href") if name in attributes]
        self.images += tag == "img"
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_everything_and_escapes_what_files_say(report):
    text = (report / "index.html").read_text()
    page = Links()
    page.feed(text)
    assert not page.open
    assert [link for link in page.loads if not link.startswith("data:")] == ["scores.json"]
    assert page.images >= 5
    assert "<i>ddim" not in text
    assert "&lt;i&gt;ddim&lt;/i&gt;" in text
    assert "5 hours" in text


def test_pictures_lie_beside_and_nothing_half_written(report):
    names = sorted(path.name for path in report.iterdir())
    assert names == ["index.html", "maps.png", "scores.json", "spectra.png"]
    for name in ("maps.png", "spectra.png"):
        assert (report / name).read_bytes().startswith(b"\x89PNG")


def test_again_into_the_same_folder_gives_the_same(report):
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    out = str(report.parent / "OUT.nc")
    assert verify.main([out, "--report", str(report)]) == 0
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


def test_several_cases_and_a_projection(tmp_path, capsys):
    path = example(tmp_path, windows=True, projected=True)
    assert verify.main([str(path), "--report", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    assert "5 hours, 5 fields, 5120 points" in printed
    assert str(tmp_path / "report" / "index.html") in printed


def test_dry_hours_end_in_a_report(tmp_path):
    path = example(tmp_path, amount=0.0)
    assert verify.main([str(path), "--report", str(tmp_path / "report")]) == 0
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores["model"]["crps_mm"]["value"] == 0
    assert scores["model"]["csi_1mm"]["value"] is None


def test_errors_are_one_line_and_leave_nothing(tmp_path, capsys):
    path = example(tmp_path)
    a_file = tmp_path / "a_file"
    a_file.write_text("")
    report = str(tmp_path / "report")
    for arguments, words in (
        ([str(tmp_path / "gone.nc"), "--report", report], "gone.nc: no such file"),
        ([str(a_file), "--report", report], "no NetCDF file"),
        ([str(path), "--report", str(a_file)], "is a file; expected a folder"),
        ([str(path), "--truth", str(a_file), "--report", report], "a_file"),
    ):
        assert verify.main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    (tmp_path / "store" / "manifest.json").unlink()
    assert verify.main([str(path), "--report", report]) == 2
    assert "holds no finished store" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
