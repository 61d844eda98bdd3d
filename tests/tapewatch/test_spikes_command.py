"""``tapewatch spikes`` on files: what it prints, and what it says of files that are no series."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
import typer
from support.commands import tapewatch
from typer.testing import CliRunner

from tapewatch.commands.spikes import spikes
from tapewatch.series import Row, SeriesError, read_rows, with_step

KEYS = ["timestamp", "value", "score", "baseline", "lower", "upper", "severity", "alert"]
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
ROWS, AT = 1000, 900


def lines(values, step=timedelta(minutes=5), form="%Y-%m-%d %H:%M:%S"):
    rows = (f"{BEGAN + i * step:{form}},{value}" for i, value in enumerate(values))
    return "\n".join(["timestamp,value", *rows]) + "\n"


@pytest.fixture(scope="module")
def mentions():
    values = np.random.default_rng(1).poisson(40, ROWS)
    values[AT : AT + 20] += 160
    return values


@pytest.fixture(scope="module")
def series(tmp_path_factory, mentions):
    path = tmp_path_factory.mktemp("series") / "mentions.csv"
    path.write_text(lines(mentions))
    return path


@pytest.fixture
def run(monkeypatch):
    app = typer.Typer()
    app.command()(spikes)
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*arguments, given=None):
        done = CliRunner().invoke(app, [*map(str, arguments)], input=given)
        if isinstance(done.exception, Exception):
            raise done.exception
        return done

    return invoke


def test_it_prints_the_rows_that_alert_and_a_summary(run, series):
    header, alert, summary = run(series).output.splitlines()

    assert header.split()[:4] == ["time", "(UTC)", "value", "baseline"]
    assert alert.startswith("2026-01-08 03:00")
    assert alert.endswith("beyond_band")
    assert summary == (
        "1,000 rows, one each 0:05:00, from 2026-01-05 00:00 to 2026-01-08 11:15 UTC; "
        "576 to warm up; 1 alert"
    )


def test_all_shows_every_row(run, series):
    found = run(series, "--all").output.splitlines()

    assert len(found) == ROWS + 2
    assert [i for i, line in enumerate(found[1:-1]) if "ALERT" in line] == [AT]
    assert found[1].endswith("warming_up")
    assert found[AT + 2].endswith("held")


def test_json_has_one_object_a_row_with_these_keys(run, series, mentions):
    found = [json.loads(line) for line in run(series, "--json").output.splitlines()]

    assert [list(row) for row in found] == [KEYS] * ROWS
    assert [row["value"] for row in found] == mentions.tolist()
    assert [i for i, row in enumerate(found) if row["alert"]] == [AT]
    assert found[AT]["timestamp"] == "2026-01-08T03:00:00+00:00"
    assert found[AT]["lower"] < found[AT]["baseline"] < found[AT]["upper"] < found[AT]["value"]
    assert found[AT]["score"] >= 0.5
    assert found[AT]["severity"] >= 3


def test_a_part_of_the_file_gives_a_part_of_the_answer(run, series):
    whole = run(series, "--json").output.splitlines()
    part = "\n".join(series.read_text().splitlines()[:921])

    assert run("-", "--json", given=part).output.splitlines() == whole[:920]


@pytest.mark.parametrize(("options", "alerts"), [
    (["--sides", "lower"], 0), (["--threshold", "50"], 0), (["--warm-up", "4d"], 0),
    (["--kind", "real"], 1), (["--step", "5m", "--persistence", "1", "--hold", "1h"], 2),
])  # fmt: skip
def test_the_options_reach_the_detector(run, series, options, alerts):
    found = [json.loads(line) for line in run(series, "--json", *options).output.splitlines()]
    assert sum(row["alert"] for row in found) == alerts


def test_shares_have_a_total(run):
    chance = np.random.default_rng(2)
    totals = chance.poisson(60, 800)
    negative = chance.binomial(totals, np.where(np.arange(800) // 12 == 60, 0.7, 0.2))
    rows = [
        f"{(BEGAN + i * timedelta(minutes=5)).isoformat()},{total},{value}"
        for i, (value, total) in enumerate(zip(negative, totals, strict=True))
    ]
    given = "\n".join(["timestamp,total,value", *rows])

    found = [json.loads(line) for line in run("-", "--json", given=given).output.splitlines()]

    (row,) = [i for i, row in enumerate(found) if row["alert"]]
    assert 720 <= row <= 722


def test_no_rows_are_no_alerts(run):
    assert run("-", "--step", "5m", given="timestamp,value\n").output == "No rows.\n"


def test_a_mistake_is_one_line_with_its_line_number(tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("timestamp,value\n2026-01-05T00:00Z,1\n2026-01-05T00:05Z,many\n")

    done = tapewatch("spikes", path, fails=True)

    (line,) = done.stderr.splitlines()
    assert line == (
        f"tapewatch: {path}, line 3: the value 'many' is no number: leave it empty if it is unknown"
    )


HEAD = "timestamp,value\n2026-01-05T00:00Z,1\n2026-01-05T00:05Z,2\n"


@pytest.mark.parametrize(("text", "message"), [
    ("time,count\n1,2\n", "line 1: there must be a header"),
    ("", "line 1: there must be a header"),
    (HEAD + "soon,3\n", "line 4: the timestamp 'soon'"),
    (HEAD + "2026-01-05T00:10Z\n", "line 4: there are 1 cells"),
    (HEAD + "2026-01-05T00:10Z,inf\n", "line 4: the value 'inf' is infinite"),
    (HEAD + "2026-01-05T00:05Z,3\n", "line 4: .* does not come after"),
    (HEAD + "2026-01-05T00:01Z,3\n", "line 4: .* does not come after"),
    (HEAD + "2026-01-05T00:10Z,1\n\n2026-01-05T00:11Z,3\n", "line 6: .* within one step"),
    ("timestamp,value\n2026-01-05T00:00Z,1\n", "too few rows"),
    ("timestamp,value,total\n1,1,2\n2,1,1.5\n", "line 3: the total '1.5'"),
    ("timestamp,value,total\n1,1,2\n2,3,2\n", "line 3: 3 of 2 documents"),
])  # fmt: skip
def test_files_that_are_no_series(run, text, message):
    with pytest.raises(SeriesError, match=message):
        run("-", given=text)


def test_counts_may_not_be_negative_where_counts_are_promised(run):
    with pytest.raises(SeriesError, match="line 4: -3 is no count"):
        run("-", "--kind", "count", given=HEAD + "2026-01-05T00:10Z,-3\n")
    assert "3 rows" in run("-", given=HEAD + "2026-01-05T00:10Z,-3\n").output


def test_a_file_that_is_missing_or_a_folder(run, tmp_path):
    with pytest.raises(SeriesError, match="there is no series at"):
        run(tmp_path / "none.csv")
    with pytest.raises(SeriesError, match="cannot be read"):
        run(tmp_path)


def test_a_file_that_is_no_text(run, tmp_path):
    (tmp_path / "picture.csv").write_bytes(b"timestamp,value\n\xff\xfe,1\n")
    with pytest.raises(SeriesError, match="no text in UTF-8"):
        run(tmp_path / "picture.csv")


@pytest.mark.parametrize(("stamp", "moment"), [
    ("2026-01-05 10:00:00", BEGAN + timedelta(hours=10)),
    ("2026-01-05T10:00:00Z", BEGAN + timedelta(hours=10)),
    ("2026-01-05T10:00:00-05:00", BEGAN + timedelta(hours=15)),
    ("1767571200", BEGAN), ("1767571200.5", BEGAN + timedelta(seconds=0.5)),
])  # fmt: skip
def test_moments_are_read_as_utc(stamp, moment):
    (row,) = read_rows(StringIO(f"\ufeffTimestamp, Value\n{stamp}, 4\n"), "a")
    assert row == Row(2, moment, 4.0, None)
    assert row.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize("cell", ["", "NaN", "null", " "])
def test_values_may_be_unknown(cell):
    (row,) = read_rows(StringIO(f"timestamp,value\n1767571200,{cell}\n"), "a")
    assert row.value is None


@pytest.mark.parametrize(("minutes", "step"), [
    ([0, 5, 10, 15], 5), ([0, 5, 10, 20, 25], 5), ([0, 60, 120], 60), ([0, 5, 6, 11, 16], 5),
    ([0, 7, 12], 5), ([0, 5, 5, 5, 10], 5),
])  # fmt: skip
def test_the_step_is_the_commonest_distance_of_the_first_rows(minutes, step):
    rows = [Row(i, BEGAN + timedelta(minutes=m), 1.0, None) for i, m in enumerate(minutes)]
    found, again = with_step(iter(rows), "a")
    assert found == timedelta(minutes=step)
    assert list(again) == rows
