import string
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.document import (
    FUTURE_TOLERANCE,
    MAX_BYTES,
    MAX_SYMBOLS,
    Document,
    Reason,
    RejectedRecordError,
    decode,
    encode,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GOOD = {"id": "1", "text": "Profit falls", "published_at": "2026-03-10T09:30:00Z"}


def record(without=(), **fields):
    content = {name: value for name, value in (GOOD | fields).items() if name not in without}
    return msgspec.json.encode(content)


def read(**fields):
    return decode(record(**fields), NOW)


def rejected(payload):
    with pytest.raises(RejectedRecordError) as caught:
        decode(payload, NOW)
    return caught.value


def reason_of(payload):
    return rejected(payload).reason


def nested(depth, value="1"):
    return b"[" * depth + value.encode() + b"]" * depth


def test_a_record_needs_an_id_a_text_and_a_date_and_has_defaults_for_the_rest():
    assert decode(record(), NOW) == Document(
        id="1",
        source="unknown",
        kind="news",
        published_at=datetime(2026, 3, 10, 9, 30, tzinfo=UTC),
        text="Profit falls",
        title=None,
        url=None,
        author=None,
        language=None,
        symbols=(),
    )


def test_every_field_is_read():
    document = read(
        source="wire",
        kind="comment",
        title="Title",
        url="https://example.test",
        author="A. Author",
        language="en",
        symbols=["BRK.B"],
    )

    assert (document.source, document.kind, document.title) == ("wire", "comment", "Title")
    assert (document.url, document.author) == ("https://example.test", "A. Author")
    assert (document.language, document.symbols) == ("en", ("BRK.B",))


def test_unknown_fields_are_ignored():
    assert read(likes=7, nested={"a": [1]}) == read()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, Reason.TOMBSTONE),
        (b"\xff\xfe", Reason.NOT_UTF8),
        (record()[:-1] + b',"x":"\xc3"}', Reason.NOT_UTF8),
        (b"", Reason.NOT_JSON),
        (b" ", Reason.NOT_JSON),
        (b"oil rises", Reason.NOT_JSON),
        (record()[:-1], Reason.NOT_JSON),
        (record() + b"{}", Reason.NOT_JSON),
        (b"\xef\xbb\xbf" + record(), Reason.NOT_JSON),
        (record().replace(b"Profit", b"\\ud83d"), Reason.NOT_JSON),
        (nested(100_000), Reason.BAD_FIELD),
        (b'{"x":' + nested(100_000) + b"," + record()[1:], Reason.NOT_JSON),
        (b"null", Reason.BAD_FIELD),
        (b"[]", Reason.BAD_FIELD),
        (b'"text"', Reason.BAD_FIELD),
        (record(without=("id",)), Reason.BAD_FIELD),
        (record(id=None), Reason.BAD_FIELD),
        (record(id=""), Reason.BAD_FIELD),
        (record(id=" \t"), Reason.BAD_FIELD),
        (record(id="\x00"), Reason.BAD_FIELD),
        (record(id="x" * 257), Reason.BAD_FIELD),
        (record(id=True), Reason.BAD_FIELD),
        (record(id=1.5), Reason.BAD_FIELD),
        (record(kind="tweet"), Reason.BAD_FIELD),
        (record(kind="a\x00b"), Reason.BAD_FIELD),
        (record(kind=None), Reason.BAD_FIELD),
        (record(source=""), Reason.BAD_FIELD),
        (record(source="x" * 257), Reason.BAD_FIELD),
        (record(text=5), Reason.BAD_FIELD),
        (record(title=["x"]), Reason.BAD_FIELD),
        (record(url="x" * 4097), Reason.BAD_FIELD),
        (record(author="x" * 1025), Reason.BAD_FIELD),
        (record(language="x" * 65), Reason.BAD_FIELD),
        (record(symbols="A"), Reason.BAD_FIELD),
        (record(symbols=[""]), Reason.BAD_FIELD),
        (record(symbols=["x" * 257]), Reason.BAD_FIELD),
        (record(symbols=[None]), Reason.BAD_FIELD),
        (record(symbol=5), Reason.BAD_FIELD),
        (record(without=("text",)), Reason.MISSING_TEXT),
        (record(text=None), Reason.MISSING_TEXT),
        (record(text=""), Reason.EMPTY_TEXT),
        (record(text=" \n\t\u00a0"), Reason.EMPTY_TEXT),
        (record(text="\x00"), Reason.EMPTY_TEXT),
        (record(without=("published_at",)), Reason.MISSING_DATE),
        (record(published_at=None), Reason.MISSING_DATE),
        (record(published_at=""), Reason.MISSING_DATE),
        (record(published_at="yesterday"), Reason.BAD_DATE),
        (record(published_at="2026-02-30"), Reason.BAD_DATE),
        (record(published_at="2026-03-10T25:00:00Z"), Reason.BAD_DATE),
        (record(published_at="\x00"), Reason.BAD_DATE),
        (record(published_at=True), Reason.BAD_DATE),
        (record(published_at=[2026, 3, 10]), Reason.BAD_DATE),
        (record(published_at={}), Reason.BAD_DATE),
        (record(published_at=1e300), Reason.BAD_DATE),
        (record(published_at=10**18), Reason.BAD_DATE),
        (record(published_at="0001-01-01T00:00:00+14:00"), Reason.BAD_DATE),
        (record(published_at="9999-12-31T23:59:59-14:00"), Reason.BAD_DATE),
        (record().replace(b'"2026-03-10T09:30:00Z"', nested(400)), Reason.BAD_DATE),
        (record().replace(b'"2026-03-10T09:30:00Z"', b"9" * 4300), Reason.BAD_DATE),
        (record().replace(b'"2026-03-10T09:30:00Z"', b"9" * 4301), Reason.BAD_FIELD),
        (record().replace(b'"2026-03-10T09:30:00Z"', b"NaN"), Reason.NOT_JSON),
        (record().replace(b'"1"', b"9" * 4301), Reason.BAD_FIELD),
        (record(published_at="9999-12-31"), Reason.FUTURE_DATE),
    ],
)
def test_what_is_no_document_is_rejected_with_its_reason(payload, reason):
    assert reason_of(payload) is reason


@pytest.mark.parametrize("ballast", ["text", "ignored"])
def test_a_record_may_be_256_kib_and_no_more(ballast):
    room = MAX_BYTES - len(record(**{ballast: ""}))
    largest, over = (record(**{ballast: "x" * size}) for size in (room, room + 1))

    assert (len(largest), MAX_BYTES) == (256 * 1024, 256 * 1024)
    assert decode(largest, NOW).id == "1"
    assert rejected(over).reason is Reason.TOO_LARGE
    assert rejected(over).detail == "262145 bytes, at most 262144"


def test_size_is_told_before_anything_else():
    assert reason_of(b"\xff" * (MAX_BYTES + 1)) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-10T09:30:00Z", "2026-03-10T09:30:00"),
        ("2026-03-10T09:30:00.123456Z", "2026-03-10T09:30:00.123456"),
        ("2026-03-10T09:30:00.123456789Z", "2026-03-10T09:30:00.123456"),
        ("2026-03-10T09:30:00+00:00", "2026-03-10T09:30:00"),
        ("2026-03-10T09:30:00+05:30", "2026-03-10T04:00:00"),
        ("2026-03-09T23:30:00-08:00", "2026-03-10T07:30:00"),
        ("2026-03-10T09:30:00", "2026-03-10T09:30:00"),
        ("2026-03-10 09:30:00", "2026-03-10T09:30:00"),
        ("2026-03-10T09:30", "2026-03-10T09:30:00"),
        (" 2026-03-10T09:30:00Z\n", "2026-03-10T09:30:00"),
        ("20260310T093000Z", "2026-03-10T09:30:00"),
        ("2026-03-10", "2026-03-10T00:00:00"),
        ("2026-W11-2", "2026-03-10T00:00:00"),
        (1773135000, "2026-03-10T09:30:00"),
        (1773135000.5, "2026-03-10T09:30:00.500000"),
        (0, "1970-01-01T00:00:00"),
        (-86400, "1969-12-31T00:00:00"),
    ],
)
def test_a_date_is_iso_8601_or_a_unix_time_and_becomes_utc(written, expected):
    assert read(published_at=written).published_at.isoformat() == f"{expected}+00:00"


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (NOW + FUTURE_TOLERANCE, None),
        (NOW + FUTURE_TOLERANCE + MICROSECOND, Reason.FUTURE_DATE),
        ((NOW + FUTURE_TOLERANCE).astimezone(timezone(timedelta(hours=9))), None),
        (datetime(1900, 1, 1, tzinfo=UTC), None),
        (datetime(1900, 1, 1, tzinfo=UTC) - MICROSECOND, Reason.BAD_DATE),
    ],
)
def test_a_date_lies_between_1900_and_five_minutes_from_now(moment, reason):
    payload = record(published_at=moment.isoformat())

    if reason is None:
        assert decode(payload, NOW).published_at == moment
    else:
        assert reason_of(payload) is reason


@pytest.mark.parametrize(("number", "identity"), [(0, "0"), (-7, "-7"), (10**30, f"{10**30}")])
def test_an_id_may_be_a_whole_number(number, identity):
    payload = record().replace(b'"1"', str(number).encode())

    assert decode(payload, NOW).id == identity


@pytest.mark.parametrize(
    ("field", "longest"),
    [("id", 256), ("source", 256), ("url", 4096), ("author", 1024), ("language", 64)],
)
def test_a_field_may_be_as_long_as_its_limit(field, longest):
    assert getattr(read(**{field: "x" * longest}), field) == "x" * longest


@pytest.mark.parametrize("field", ["id", "source", "title", "text", "url", "author", "language"])
def test_nul_and_the_white_space_around_are_taken_away(field):
    assert getattr(read(**{field: " \x00\tso\x00 so \n\x00"}), field) == "so so"


@pytest.mark.parametrize("field", ["title", "url", "author", "language"])
@pytest.mark.parametrize("blank", [None, "", " ", "\x00"])
def test_an_optional_field_that_is_blank_is_absent(field, blank):
    assert getattr(read(**{field: blank}), field) is None


@pytest.mark.parametrize("blank", [" ", "\x00", "\n\t"])
def test_a_source_that_is_blank_is_rejected(blank):
    assert reason_of(record(source=blank)) is Reason.BAD_FIELD


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ()),
        ({"symbols": None}, ()),
        ({"symbols": []}, ()),
        ({"symbols": ["B", "A"]}, ("A", "B")),
        ({"symbols": ["aapl", "AAPL", " $aapl "]}, ("AAPL",)),
        ({"symbols": ["$", " ", "\x00", "X"]}, ("X",)),
        ({"symbol": "$tsla"}, ("TSLA",)),
        ({"symbol": "B", "symbols": ["A", "B"]}, ("A", "B")),
        ({"symbols": ["^GSPC", "BRK.B", "BTC-USD"]}, ("BRK.B", "BTC-USD", "^GSPC")),
    ],
)
def test_symbols_are_upper_case_distinct_and_in_order(fields, expected):
    assert read(**fields).symbols == expected


def test_more_symbols_than_the_limit_are_cut():
    named = [f"S{number:03}" for number in range(MAX_SYMBOLS + 1)]

    assert read(symbols=named[:-1]).symbols == tuple(named[:-1])
    assert read(symbols=named).symbols == tuple(named[:-1])


def test_the_content_is_the_title_and_the_text():
    assert read(title="Title").content == "Title\nProfit falls"
    assert read().content == "Profit falls"


@pytest.mark.parametrize("text", ["😱📉", "e\u0301", "\u202eabc", "a\u0000b", "<script>", "日本"])
def test_any_unicode_goes_through(text):
    assert read(text=text).text == text.replace("\x00", "")


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_document_or_rejected(payload):
    document_or_rejection(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
wires = st.dictionaries(
    st.sampled_from([*Document.__struct_fields__, "symbol", "x"]), json_values, max_size=8
)


@given(json_values | wires | wires.map(lambda fields: GOOD | fields))
@settings(max_examples=100, deadline=None)
def test_any_json_is_a_document_or_rejected(value):
    document_or_rejection(msgspec.json.encode(value))


def document_or_rejection(payload):
    """Any other error than a rejection goes through and fails the test."""
    try:
        outcome = decode(payload, NOW)
    except RejectedRecordError as rejection:
        outcome = rejection
    if isinstance(outcome, RejectedRecordError):
        assert outcome.reason in Reason
        assert "\x00" not in outcome.detail


names = st.text(string.printable, min_size=1, max_size=20)


@given(
    st.fixed_dictionaries(
        {"id": names | st.integers(), "text": st.text(max_size=50)},
        optional={
            "source": names,
            "title": st.text(max_size=20),
            "symbols": st.lists(names, max_size=5),
            "symbol": names,
            "published_at": st.floats(-2e9, 1.7e9),
        },
    )
)
@settings(max_examples=100, deadline=None)
def test_a_document_survives_being_written_and_read_again(fields):
    try:
        document = decode(record(**fields), NOW)
    except RejectedRecordError:
        return

    assert decode(encode(document), NOW) == document
