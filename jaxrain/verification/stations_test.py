import re

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.verification.stations import Report, read_stations

HEADER = "station,time,longitude,latitude,rain_mm"


def micaps(path, *lines, title="diamond 3 2022年06月01日08时1小时降水量", date="2022 06 01 08 2"):
    path.write_bytes("\r\n".join([title, date, *lines, ""]).encode("gbk"))
    return path


def test_csv_columns_in_any_order(tmp_path):
    path = tmp_path / "gauges.csv"
    path.write_text(
        "Rain_mm, time,station,latitude,longitude,hours\n"
        "1.5,2022-06-01T08:00,59287,23.2,113.3,1\n"
        ",2022-06-01T08:00,59288,23.3,113.4,1\n"
        "\n"
        "12,2022-06-01 12:00Z,59287,23.2,113.3,6\n",
        encoding="utf-8-sig",
    )
    assert read_stations([path]) == [
        Report("59287", 113.3, 23.2, np.datetime64("2022-06-01T08:00:00"), 1, 1.5),
        Report("59287", 113.3, 23.2, np.datetime64("2022-06-01T12:00:00"), 6, 12.0),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2022-06-01", "2022-06-01T00:00:00"),
        ("2022-06-01T08", "2022-06-01T08:00:00"),
        ("2022-06-01 08:30Z", "2022-06-01T08:30:00"),
        ("2022-06-01T08:30:15+00:00", "2022-06-01T08:30:15"),
        ("2022-06-01T08:00:00.000Z", "2022-06-01T08:00:00"),
        ("2022060108", "2022-06-01T08:00:00"),
        ("202206010830", "2022-06-01T08:30:00"),
    ],
)
def test_times_in_iso_and_in_digits(tmp_path, text, expected):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEADER}\n59287,{text},113,23,1\n")
    assert [str(each.end) for each in read_stations([path])] == [expected]


@pytest.mark.parametrize(("text", "hours"), [("", 1), ("6.0", 6), ("06", 6), ("24", 24)])
def test_hours_of_a_sum_are_numbers(tmp_path, text, hours):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEADER},hours\n59287,2022-06-01T08,113,23,1,{text}\n")
    assert [each.hours for each in read_stations([path])] == [hours]


@pytest.mark.parametrize("text", ["0", "6.5", "six", "nan", "-1"])
def test_a_sum_of_other_hours_is_refused(tmp_path, text):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEADER},hours\n59287,2022-06-01T08,113,23,1,{text}\n")
    with pytest.raises(InputError, match=rf"line 2: rain of {text} hours; expected one of 1, 6"):
        read_stations([path])


@pytest.mark.parametrize(
    "text",
    [
        *("now", "today", "NaT", "", "2022", "2022-06", "20220601", "20220601080000"),
        *("2022-06-01T24", "2022-06-31", "2022063108", "2022-06-01T08+08:00", "2022-06-01T08:00X"),
        *("-2022-06-01", "2022-6-1", "２０２２060108"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path, text):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEADER}\n59287,{text},113,23,1\n")
    words = rf"g\.csv, line 2: time '{re.escape(text)}'; expected UTC as in 2022-06-01T08:00"
    with pytest.raises(InputError, match=words):
        read_stations([path])


def test_a_report_knows_its_file_and_line(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEADER}\n\n59287,2022-06-01T08,113,23,1\n")
    assert [each.origin for each in read_stations([path])] == [f"{path}, line 3"]
    path = micaps(tmp_path / "a.000", "59287 113.3 23.2 71 1.5", "G1234 113.4 23.3 9.5 0")
    assert [each.origin for each in read_stations([path])][1] == f"{path}, line 4"


def test_micaps_in_gbk(tmp_path):
    path = micaps(tmp_path / "a.000", "59287 113.3 23.2 71 1.5", "G1234 113.4 23.3 9.5 9999")
    expected = [Report("59287", 113.3, 23.2, np.datetime64("2022-06-01T08:00:00"), 1, 1.5)]
    assert read_stations([path]) == expected
    path.write_bytes(path.read_bytes().decode("gbk").encode())
    assert read_stations([path]) == expected


@pytest.mark.parametrize(
    ("title", "date", "zone", "expected"),
    [
        ("diamond 3 24小时降水", "22 06 01 08 1", "utc", ("2022-06-01T08:00:00", 24)),
        ("diamond 3 6小时 北京时", "2022 6 1 8 1", "utc", ("2022-06-01T00:00:00", 6)),
        ("diamond 3 rain 6 h UTC", "2022060108 1", "beijing", ("2022-06-01T08:00:00", 6)),
        ("diamond 3", "2022 06 01 08 1", "beijing", ("2022-06-01T00:00:00", 1)),
        ("diamond 3 01小时降水量", "2022060108 1", "utc", ("2022-06-01T08:00:00", 1)),
        ("diamond 3 x", "99 12 31 24 -1 0 0 1", "utc", ("2000-01-01T00:00:00", 1)),
    ],
)
def test_what_the_header_tells(tmp_path, title, date, zone, expected):
    path = micaps(tmp_path / "a.000", "59287 113.3 23.2 71 1.5", title=title, date=date)
    (report,) = read_stations([path], zone)
    assert (str(report.end), report.hours) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("59287 113.3 23.2 71", "4 values; expected id lon lat height rain"),
        ("59287 23.2 113.3 71 1.5", "latitude '113.3'; expected a number from -90 to 90"),
        ("59287 113.3 23.2 71 -1", "rain '-1'; expected a number from 0 to 2000"),
        ("59287 113.3 23.2 71 wet", "rain 'wet'"),
        ("59287 113.3 23.2 high 0", "height 'high'"),
        ("59287 nan 23.2 71 1.5", "longitude 'nan'"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, words):
    path = micaps(tmp_path / "a.000", "59288 113.3 23.2 71 0", line)
    with pytest.raises(InputError) as caught:
        read_stations([path])
    assert str(caught.value).startswith(f"{path}, line 4: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("title", "date", "words"),
    [
        ("diamond 4 x", "2022 06 01 08 1", "line 1: 'diamond 4' is another kind"),
        ("diamond 3 x", "2022 06 01 08 5", "line 2: says 5 stations, 1 follow"),
        ("diamond 3 x", "2022 13 01 08 1", "line 2: '2022 13 01 08 1' has no such day"),
        ("diamond 3 x", "yesterday", "line 2: 'yesterday'"),
        ("diamond 3 x", "2022 06 01 25 1", "line 2: hour 25"),
        ("diamond 3 12小时", "2022 06 01 08 1", "line 1: rain of 12 hours; expected one of 1, 6"),
    ],
)
def test_a_bad_header_is_refused(tmp_path, title, date, words):
    path = micaps(tmp_path / "a.000", "59287 113.3 23.2 71 1.5", title=title, date=date)
    with pytest.raises(InputError, match=rf"a\.000, {words}"):
        read_stations([path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: columns none; expected station, time"),
        ("a,b\n1,2\n", "line 1: columns a, b; expected station, time"),
        (f"{HEADER}\n59287,2022-06-01T08,113,23\n", "line 2: 4 cells; expected 5"),
        (f"{HEADER}\n\n59287,noon,113,23,1\n", "line 3: time 'noon'"),
        (f"{HEADER}\n,2022-06-01T08,113,23,1\n", "line 2: no station"),
    ],
)
def test_a_bad_csv_is_refused(tmp_path, text, words):
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"g\.csv, {words}"):
        read_stations([path])


def test_what_is_no_text_or_not_there_is_named(tmp_path):
    (tmp_path / "b.bin").write_bytes(b"\xff\xff\xff\x00")
    for name, words in (("b.bin", "neither UTF-8 nor GBK"), ("gone.csv", "No such file")):
        with pytest.raises(InputError, match=words):
            read_stations([tmp_path / name])
