import json
import queue
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import xarray as xr

from jaxrain import verify
from jaxrain.verification.forecast_test import example, without_coarse

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# What the page's own scripts log, and what they fail with, comes as such a line on stderr.
CONSOLE = re.compile(r"CONSOLE[:(]")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    path = example(folder)
    gauges = folder / "gauges.csv"
    gauges.write_text(
        "station,time,longitude,latitude,rain_mm\n"
        "59287,2022-06-01T02:00,113.105,23.105,1.5\n"
        "59288,2022-06-01T02:00,113.205,23.205,0\n"
    )
    words = [str(path), "--report", str(folder / "report"), "--stations", str(gauges)]
    assert verify.main([*words, "--beside", f"twin={path}"]) == 0
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
    assert list(scores["baselines"]) == ["bilinear", "nearest", "quantile-mapped", "twin"]
    assert scores["notes"] == []
    assert scores["baselines"]["twin"] == scores["model"]
    assert scores["consecutive_pairs"] == 4
    assert scores["truth"]["conservation_mm"] < 1e-6
    assert len(scores["rank_histogram"]) == 5
    assert len(scores["spectra"]["model"]) == len(scores["spectra"]["wavelength_km"])


def test_gauges_stand_beside_the_grid(report):
    (hourly,) = json.loads((report / "scores.json").read_text())["gauges"].values()
    assert (hourly["sums"], hourly["stations"], hourly["ends"]) == (2, 2, 1)
    assert list(hourly["systems"]) == ["model", "bilinear", "nearest", "quantile-mapped", "twin",
                                       "truth"]  # fmt: skip
    for name in ("ts_0.1mm", "frequency_bias_20mm", "member_ts_5mm", "crps_mm"):
        assert set(hourly["systems"]["model"][name]) == {"value", "low", "high"}


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
    assert page.images >= 8
    downloads = sum(link.startswith("data:text/csv") for link in page.loads)
    assert downloads == text.count("<table><caption>") >= 6
    assert len(text) < 11_000_000
    assert "<i>ddim" not in text
    assert "&lt;i&gt;ddim&lt;/i&gt;" in text
    captions = dict(re.findall(r'alt="([^"]*)"[^>]*><figcaption>([^<]*)<', text))
    of_hours = ("Power spectra and their distance from the truth", "Rank histogram")
    of_hours += ("Reliability and ROC", "Frequency bias and fractions skill score")
    for name in (*of_hours, "The day&#x27;s course"):
        assert captions.pop(name).startswith("5 hours, 5 fields, "), name
    assert captions == {"Maps of bias": "hours of each map in its title"}
    assert "It holds 5 of 5 fields; all members." in text


def test_pictures_lie_beside_and_nothing_half_written(report):
    names = sorted(path.name for path in report.iterdir())
    assert names == ["index.html", "maps.png", "scores.json", "spectra.png"]
    for name in ("maps.png", "spectra.png"):
        assert (report / name).read_bytes().startswith(b"\x89PNG")


def test_again_into_the_same_folder_gives_the_same(report):
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    out, gauges = str(report.parent / "OUT.nc"), str(report.parent / "gauges.csv")
    words = [out, "--report", str(report), "--stations", gauges, "--beside", f"twin={out}"]
    assert verify.main(words) == 0
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


def test_where_the_predictors_hold_no_rain_climatology_is_to_beat(tmp_path, capsys):
    path = without_coarse(example(tmp_path))
    assert verify.main([str(path), "--report", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    assert "note: the baselines bilinear, nearest and quantile-mapped are left out" in printed
    assert "climatology is left" not in printed
    assert "the CRPS of climatology" in printed
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores["reference"] == "climatology"
    assert list(scores["baselines"]) == ["climatology"]
    assert scores["baselines"]["climatology"]["crpss"]["value"] == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "bilinear interpolation" not in page.partition("<details>")[0]
    assert "it knows the place, and nothing of the day" in page


def test_without_coarse_rain_and_store_another_forecast_is_to_beat(tmp_path, capsys):
    path = without_coarse(example(tmp_path))
    truth = str(tmp_path / "fine" / "fine.nc")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    words = [str(path), "--report", str(tmp_path / "report"), "--truth", truth]
    assert verify.main(words) == 2
    assert "has nothing to compare with" in capsys.readouterr().err
    assert verify.main([*words, "--beside", f"unet={path}"]) == 0
    said = capsys.readouterr().out
    assert "the CRPS of unet" in said
    assert "note: the baseline climatology is left out:" in said
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Interpolation is one forecast" not in page


def test_a_store_of_other_points_gives_no_climatology(tmp_path, capsys):
    path = without_coarse(example(tmp_path))
    moved = tmp_path / "moved.nc"
    with xr.open_dataset(path) as dataset:
        dataset.assign_coords(longitude=dataset["longitude"] + 0.16).to_netcdf(moved)
    with xr.open_dataset(tmp_path / "fine" / "fine.nc") as truth:
        truth.assign_coords(longitude=truth["longitude"] + 0.16).to_netcdf(tmp_path / "truth.nc")
    words = [
        str(moved),
        "--report",
        str(tmp_path / "report"),
        "--truth",
        str(tmp_path / "truth.nc"),
    ]
    assert verify.main([*words, "--beside", f"twin={moved}"]) == 0
    said = capsys.readouterr().out
    assert "climatology is left out: the grid of area0" in said
    assert "the CRPS of twin" in said


def test_several_cases_and_a_projection(tmp_path, capsys):
    path = example(tmp_path, windows=True, projected=True)
    assert verify.main([str(path), "--report", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    assert "5 hours, 5 fields, 5120 points" in printed
    assert "note: the baseline regression is left out" in printed
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
        ([str(path), "--report", str(a_file / "report")], f"{a_file} is no folder"),
        ([str(path), "--report", "/proc/report"], "cannot be made there"),
        ([str(path), "--truth", str(a_file), "--report", report], "a_file"),
        ([str(path), "--stations", str(a_file), "--report", report], "a_file, line 1: columns"),
        ([str(path), "--beside", str(path), "--report", report], "expected NAME=FILE.nc"),
    ):
        assert verify.main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    (tmp_path / "store" / "manifest.json").unlink()
    assert verify.main([str(path), "--report", report]) == 2
    assert "holds no finished store" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def opened(page: str, path: Path) -> tuple[str, str]:
    """The document after its scripts ran, and what Chromium wrote to stderr."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install chromium to see the page in a browser")
    path.write_text(page, encoding="utf-8")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path}.profile"]
    words += ["--enable-logging=stderr", "--virtual-time-budget=9000", "--dump-dom", path.as_uri()]
    done = subprocess.run([CHROMIUM, *words], capture_output=True, timeout=120, check=True)
    return done.stdout.decode(), done.stderr.decode()


# Chooses one thing after another and keeps what each picture then looks like.
WALK = """<script>
addEventListener("load", async () => {
  const names = ["truth", "compared", "one", "mean", "probability"];
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const look = () => names.map((name) => {
    const canvas = document.getElementById(`browser-${name}-picture`);
    const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return bytes.reduce((sum, byte, i) => (sum * 31 + byte * (i % 251)) % 1000000007, 7);
  });
  const seen = {};
  const drawn = () => Number(document.getElementById("browser-readout").dataset.drawn || 0);
  const step = async (name, act) => {
    const before = name === "start" ? 0 : drawn();
    act();
    while (drawn() <= before) await wait(20);
    seen[name] = look();
  };
  const choose = (name, value) => () => {
    const select = document.getElementById(`browser-${name}`);
    select.value = value;
    select.dispatchEvent(new Event("change"));
  };
  const press = (name) => () => document.getElementById(`browser-${name}`).click();
  await step("start", () => {});
  await step("member", choose("member", 2));
  await step("threshold", choose("threshold", 2));
  await step("beside", choose("beside", 1));
  await step("hour", choose("hour", 3));
  await step("next", press("next"));
  seen.atNext = document.getElementById("browser-hour").value;
  press("play")();
  const before = drawn();
  while (drawn() < before + 2) await wait(20);
  press("play")();
  seen.atPlay = document.getElementById("browser-hour").value;
  const canvas = document.getElementById("browser-truth-picture");
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent("pointermove",
    { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
  seen.readout = document.getElementById("browser-readout").textContent;
  await fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
});
</script></body>"""


def test_the_page_opens_without_a_console_error(report, tmp_path):
    page = (report / "index.html").read_text(encoding="utf-8")
    document, log = opened(page, tmp_path / "page.html")
    assert "below 0.1 mm" in document  # the scale, which the script draws
    assert not CONSOLE.search(log), log
    _, broken = opened(
        page.replace("</body>", "<script>gone();</script></body>"), tmp_path / "broken.html"
    )
    assert CONSOLE.search(broken)  # else the line above could not fail


def walked(page: str, profile: Path) -> dict:
    """What WALK saw: the page comes from a server, to which it sends that when it is done."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install chromium to see the page in a browser")
    sent: queue.Queue[bytes] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.replace("</body>", WALK).encode())

        def do_POST(self):
            sent.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server"]
        words += [f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"]
        with subprocess.Popen([CHROMIUM, *words], stderr=subprocess.DEVNULL) as browser:
            try:
                return json.loads(sent.get(timeout=120))
            finally:
                browser.terminate()
                server.shutdown()


def test_the_controls_change_the_picture_that_they_are_for(report, tmp_path):
    seen = walked((report / "index.html").read_text(encoding="utf-8"), tmp_path / "profile")

    def changed(before, after):
        names = ("truth", "compared", "one", "mean", "probability")
        pairs = zip(names, seen[before], seen[after], strict=True)
        return {name for name, a, b in pairs if a != b}

    assert changed("start", "member") == {"one"}
    assert changed("member", "threshold") == {"probability"}
    assert changed("threshold", "beside") == {"compared"}
    every = {"truth", "compared", "one", "mean", "probability"}
    assert changed("beside", "hour") == every
    assert changed("hour", "next") == every
    assert seen["atNext"] == "4"
    assert seen["atPlay"] != "4"  # from the last hour on to the first
    assert re.search(r"y 23\.\d+ °, x 113\.\d+ °: Truth .* mm", seen["readout"])
