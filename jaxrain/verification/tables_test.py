import base64
import csv
import io
import re

from jaxrain.verification.tables import Row, Table, csv_text, html

SCORE = {"value": 0.12345, "low": 0.1, "high": None}
TABLE = Table(
    "some_scores",
    "7 hours, 9 fields",
    7,
    "at or above",
    ["model", "note"],
    [("first", [Row("a", [SCORE, "<b>"]), Row("b", [2, None], 3, "what it is")]), ("", [])],
)


def test_csv_has_full_digits_the_intervals_ends_and_the_hours():
    lines = list(csv.reader(io.StringIO(csv_text(TABLE))))
    assert lines == [
        ["group", "row", "model", "model low", "model high", "note", "hours"],
        ["first", "a", "0.12345", "0.1", "", "<b>", "7"],
        ["first", "b", "2", "", "", "", "3"],
    ]


def test_html_tells_the_basis_escapes_and_holds_the_csv():
    text = html(TABLE)
    assert "7 hours, 9 fields" in text
    assert "<b>" not in text
    assert "what it is" in text
    name, data = re.search(r'download="(.*?)" href="data:text/csv;charset=utf-8;base64,(.*?)"', text).groups()  # fmt: skip  # noqa: E501
    assert name == "some_scores.csv"
    assert base64.b64decode(data).decode() == csv_text(TABLE)
