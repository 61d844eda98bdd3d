import csv
import gzip
import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pyarrow import parquet

from ingest.batch import Advance, Checkpoint, Partition
from ingest.document import MAX_BYTES, Reason, RejectedRecordError, decode
from ingest.files import FeedError, FeedFile, FileSource

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

ROWS = [
    {
        "id": str(number),
        "source": "wire",
        "kind": "comment" if number % 2 else "news",
        "published_at": datetime(2026, 3, 10, 9, number, tzinfo=UTC),
        "title": "" if number == 2 else f'A "quoted", title {number}',
        "text": f"Line one\nline two, číslo {number} 📉",
        "symbols": ["AAPL", "TSLA"][: number % 3],
    }
    for number in range(5)
]


def as_lines(rows):
    return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)


def write_jsonl(path, rows):
    path.write_bytes(as_lines(rows))


def write_gz(path, rows):
    path.write_bytes(gzip.compress(as_lines(rows)))


def write_csv(path, rows, encoding="utf-8"):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(row | {"symbols": " ".join(row["symbols"])} for row in rows)
    content = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_csv_with_bom(path, rows):
    write_csv(path, rows, "utf-8-sig")


def write_parquet(path, rows):
    parquet.write_table(pa.Table.from_pylist(rows), path)


FORMATS = {
    "feed.jsonl": write_jsonl,
    "feed.ndjson": write_jsonl,
    "feed.jsonl.gz": write_gz,
    "FEED.JSONL": write_jsonl,
    "feed.csv": write_csv,
    "bom.csv": write_csv_with_bom,
    "feed.csv.gz": write_csv,
    "feed.parquet": write_parquet,
}

every_format = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture
def written(tmp_path):
    def write(name, rows=ROWS):
        path = tmp_path / name
        FORMATS[name](path, rows)
        return path

    return write


def file_of(tmp_path, content, name="feed.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def records(path):
    with closing(FeedFile(path)) as feed:
        return list(feed)


def offsets(path):
    return [record.offset for record in records(path)]


def drain(source, limit=2):
    taken = []
    while (polled := source.poll(limit)) is not None:
        taken += polled
    return taken


def ids(taken):
    return [decode(record.payload, NOW).id for record in taken]


def reason_of(payload):
    with pytest.raises(RejectedRecordError) as caught:
        decode(payload, NOW)
    return caught.value.reason


@every_format
def test_every_format_gives_the_same_documents(written, name):
    documents = [decode(record.payload, NOW) for record in records(written(name))]

    assert [d.id for d in documents] == ["0", "1", "2", "3", "4"]
    assert [d.kind for d in documents] == ["news", "comment", "news", "comment", "news"]
    assert [d.published_at for d in documents] == [row["published_at"] for row in ROWS]
    assert [d.text for d in documents] == [row["text"] for row in ROWS]
    assert [d.title for d in documents] == [row["title"] or None for row in ROWS]
    assert [d.symbols for d in documents] == [tuple(row["symbols"]) for row in ROWS]


@every_format
def test_a_record_knows_its_file_and_its_row(written, name):
    taken = records(written(name))

    assert {record.partition for record in taken} == {Partition(name, 0)}
    assert [record.offset for record in taken] == [0, 1, 2, 3, 4]
    assert taken[3].position == f"{name}[0]@3"


@every_format
@pytest.mark.parametrize(("next_offset", "expected"), [(0, "01234"), (3, "34"), (5, "")])
def test_a_source_goes_on_from_its_checkpoint(written, name, next_offset, expected):
    source = FileSource(written(name), Checkpoint(next_offset))

    assert ids(drain(source)) == list(expected)
    source.close()


@every_format
def test_a_source_gives_no_more_than_asked_for_and_none_at_the_end(written, name):
    source = FileSource(written(name))

    assert [len(source.poll(2)) for _ in range(3)] == [2, 2, 1]
    assert source.poll(2) is None
    assert source.poll(2) is None
    source.close()


@every_format
def test_progress_grows_from_none_to_one(written, name):
    source = FileSource(written(name))
    seen = [source.progress]
    while source.poll(1):
        seen.append(source.progress)
    seen.append(source.progress)
    source.close()

    assert seen == sorted(seen)
    assert (seen[0], seen[-1], source.progress) == (0.0, 1.0, 1.0)


@every_format
def test_a_source_rewinds_in_the_middle_of_a_file(written, name):
    source = FileSource(written(name))
    source.poll(3)

    source.rewind({source.poll(1)[0].partition: Checkpoint(1)})
    again = ids(drain(source))
    source.rewind({})
    from_the_start = ids(drain(source))
    source.close()

    assert again == ["1", "2", "3", "4"]
    assert from_the_start == ["0", "1", "2", "3", "4"]


@every_format
def test_a_file_may_be_closed_in_the_middle(written, name):
    source = FileSource(written(name))
    source.poll(2)

    source.close()

    assert source.progress == 1.0


def test_a_source_knows_the_checkpoints_it_was_given_and_told_of(written):
    path = written("feed.jsonl")
    part = Partition("feed.jsonl", 0)
    source = FileSource(path, Checkpoint(2))

    assert source.checkpoints == {part: Checkpoint(2)}
    source.committed((Advance(part, 2, Checkpoint(4)),))
    assert source.checkpoints == {part: Checkpoint(4)}
    source.rewind({part: Checkpoint(3)})
    assert source.checkpoints == {part: Checkpoint(3)}
    source.rewind({Partition("other", 0): Checkpoint(3)})
    assert source.checkpoints == {part: None}
    source.close()


def test_a_feed_may_be_read_as_often_as_you_like(written):
    feed = FeedFile(written("feed.jsonl"))

    assert list(feed) == list(feed)
    feed.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("name", ["feed.jsonl", "feed.jsonl.gz"])
def test_blank_lines_are_skipped_and_counted(tmp_path, name, end):
    content = b'\n{"a":1}\r\n \t\n\n{"b":2}' + end
    path = file_of(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)

    assert [(r.offset, r.payload) for r in records(path)] == [(1, b'{"a":1}'), (4, b'{"b":2}')]


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.csv", "feed.jsonl.gz"])
def test_an_empty_file_has_no_records(tmp_path, name):
    source = FileSource(file_of(tmp_path, gzip.compress(b"") if "gz" in name else b"", name))

    assert source.poll(5) is None
    source.close()
    assert source.progress == 1.0


def test_a_table_without_rows_has_no_records(tmp_path):
    empty = pa.table({"id": pa.array([], pa.string())})
    parquet.write_table(empty, tmp_path / "feed.parquet")

    assert records(tmp_path / "feed.parquet") == []


@pytest.mark.parametrize("excess", [1, 3 * MAX_BYTES, 9 * MAX_BYTES])
def test_an_overlong_line_is_one_record_and_harms_no_other(tmp_path, excess):
    overlong = b'{"id":"1","text":"' + b"x" * (MAX_BYTES + excess) + b'"}'
    before, after = as_lines(ROWS[:1]), as_lines(ROWS[2:3])
    path = file_of(tmp_path, before + overlong + b"\n" + after)

    first, second, third = records(path)

    assert [first.offset, second.offset, third.offset] == [0, 1, 2]
    assert reason_of(second.payload) is Reason.TOO_LARGE
    assert len(second.payload) <= 4 * MAX_BYTES
    assert ids([first, third]) == ["0", "2"]


def test_a_line_as_long_as_the_limit_of_what_is_kept_ends_where_it_ends(tmp_path):
    kept = 4 * MAX_BYTES
    path = file_of(tmp_path, b"x" * kept + b"\ny\n" + b"z" * (kept - 1) + b"\nw")

    assert [len(r.payload) for r in records(path)] == [kept, 1, kept - 1, 1]


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.csv"])
def test_what_is_not_utf8_is_told_apart_and_harms_no_other(tmp_path, name):
    good, bad = as_lines(ROWS[:1]), b'{"id":"1","text":"caf\xe9"}\n'
    date = ROWS[0]["published_at"].isoformat().encode()
    table = b"id,text,published_at\n0,good,%b\n1,caf\xe9,%b\n2,good,%b\n" % (date, date, date)
    path = file_of(tmp_path, good + bad + good if name == "feed.jsonl" else table, name)

    first, second, third = records(path)

    assert reason_of(second.payload) is Reason.NOT_UTF8
    assert b"caf\xe9" in second.payload
    assert len(ids([first, third])) == 2


def test_the_cells_of_a_csv_may_hold_commas_quotes_and_line_ends(tmp_path):
    content = 'id,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2,plain\r\n'
    first, second = records(file_of(tmp_path, content.encode(), "feed.csv"))

    assert json.loads(first.payload) == {"id": "1", "text": 'a, "b"\r\nc'}
    assert json.loads(second.payload) == {"id": "2", "text": "plain"}
    assert [first.offset, second.offset] == [0, 1]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("1,a,x,y", {"id": "1", "text": "a", "None": ["x", "y"]}),
        ("1", {"id": "1"}),
        ("1,", {"id": "1"}),
        (",a", {"text": "a"}),
    ],
)
def test_a_csv_row_of_another_length_is_still_a_record(tmp_path, row, expected):
    (record,) = records(file_of(tmp_path, f"id,text\n{row}\n".encode(), "feed.csv"))

    assert json.loads(record.payload) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("AAPL", ["AAPL"]),
        ("AAPL TSLA", ["AAPL", "TSLA"]),
        ("AAPL;TSLA|X , Y", ["AAPL", "TSLA", "X", "Y"]),
        (" ; ", []),
    ],
)
def test_a_cell_of_symbols_is_a_list(tmp_path, cell, expected):
    (record,) = records(file_of(tmp_path, f'symbols\n"{cell}"\n'.encode(), "feed.csv"))

    assert json.loads(record.payload) == {"symbols": expected}


def test_an_overlong_cell_is_a_dead_letter_and_harms_no_other(tmp_path):
    content = b"id,text\n0,a\n1," + b"x" * (4 * MAX_BYTES + 1) + b"\n2,b\n"

    first, second, third = records(file_of(tmp_path, content, "feed.csv"))

    assert reason_of(second.payload) is Reason.TOO_LARGE
    assert [json.loads(r.payload)["id"] for r in (first, third)] == ["0", "2"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_a_parquet_timestamp_of_any_unit_is_read(tmp_path, unit, zone):
    moment = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
    stored = moment if zone else moment.replace(tzinfo=None)
    column = pa.array([stored], pa.timestamp(unit, zone))
    table = pa.table({"id": [7], "text": ["x"], "published_at": column})
    parquet.write_table(table, tmp_path / "feed.parquet", coerce_timestamps=None)

    (record,) = records(tmp_path / "feed.parquet")

    assert decode(record.payload, NOW).published_at == moment
    assert decode(record.payload, NOW).id == "7"


def test_a_parquet_text_stored_as_bytes_is_read_as_text(tmp_path):
    columns = {"id": ["1"], "text": pa.array([b"Oil falls"], pa.binary()), "published_at": [0]}
    parquet.write_table(pa.table(columns), tmp_path / "feed.parquet")

    (record,) = records(tmp_path / "feed.parquet")

    assert decode(record.payload, NOW).text == "Oil falls"


def test_a_parquet_cell_without_value_is_an_absent_field(tmp_path):
    columns = {"id": ["1"], "text": pa.array([None], pa.string()), "likes": [3]}
    parquet.write_table(pa.table(columns), tmp_path / "feed.parquet")

    (record,) = records(tmp_path / "feed.parquet")

    assert json.loads(record.payload) == {"id": "1", "likes": 3}


def test_a_parquet_file_of_several_batches_is_read_in_order(tmp_path):
    parquet.write_table(pa.table({"id": list(range(2500))}), tmp_path / "feed.parquet")

    assert offsets(tmp_path / "feed.parquet") == list(range(2500))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FeedError, match=r"there is no feed at .*absent\.jsonl"):
        FileSource(tmp_path / "absent.jsonl")
    with pytest.raises(FeedError, match="there is no feed at"):
        FeedFile(tmp_path)


@pytest.mark.parametrize("name", ["feed", "feed.json", "feed.txt", "feed.gz", "feed.parquet.gz"])
def test_an_unknown_format_is_refused_with_what_we_read(tmp_path, name):
    expected = rf"cannot tell the format of {name}: name it \.jsonl, \.jsonl\.gz, \.csv"
    with pytest.raises(FeedError, match=expected):
        FeedFile(file_of(tmp_path, b"{}", name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("feed.jsonl.gz", gzip.compress(as_lines(ROWS) * 50)[:-20]),
        ("feed.jsonl.gz", b"not gzip at all"),
        ("feed.parquet", b"not parquet at all"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    path = file_of(tmp_path, content, name)

    with pytest.raises(FeedError, match=name):
        records(path)


def test_dates_before_the_checkpoint_are_not_needed_to_resume(written):
    path = written("feed.csv")
    whole = records(path)
    source = FileSource(path, Checkpoint(2, NOW - timedelta(hours=1)))

    assert drain(source, limit=100) == whole[2:]
    source.close()
