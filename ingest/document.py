"""The document contract: what a feed may send, and why a record is turned away.

``decode`` is the only way from bytes to a ``Document``. It raises ``RejectedRecordError`` and
nothing else; the reason and detail end in a dead letter. Knows nothing of where the bytes came
from.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

MAX_BYTES = 256 * 1024
"""A record longer than this is a dead letter."""

MAX_SYMBOLS = 64
FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far a publisher's clock may run ahead of ours."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)

_CASHTAG = re.compile(r"^[$\s]+")

Kind = Literal["news", "comment"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Reason(StrEnum):
    """Why a record became a dead letter."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    EMPTY_TEXT = "empty_text"
    MISSING_TEXT = "missing_text"
    MISSING_DATE = "missing_date"
    BAD_DATE = "bad_date"
    FUTURE_DATE = "future_date"
    BAD_FIELD = "bad_field"
    TOMBSTONE = "tombstone"


class RejectedRecordError(ValueError):
    """A record that is no document: ``reason`` for programs, ``detail`` for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One news item or comment. ``published_at`` is aware and in UTC; symbols are distinct."""

    id: str
    source: str
    kind: Kind
    published_at: datetime
    text: str
    title: str | None = None
    url: str | None = None
    author: str | None = None
    language: str | None = None
    symbols: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """What the classifier reads: the title, then the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class _Wire(msgspec.Struct):
    """A record as feeds send it; unknown fields are ignored, dates are read apart."""

    id: Name | int
    source: Name = "unknown"
    kind: Kind = "news"
    published_at: Any = None
    text: str | None = None
    title: str | None = None
    url: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    author: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    language: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    symbols: tuple[Name, ...] | None = None
    symbol: Name | None = None


_decoder = msgspec.json.Decoder(_Wire)


def decode(payload: bytes | None, now: datetime) -> Document:
    """The document in ``payload``. Raises RejectedRecordError with the reason.

    ``now`` is the wall clock against which a future date is told.
    """
    if payload is None:
        raise RejectedRecordError(Reason.TOMBSTONE, "the record has no value")
    if len(payload) > MAX_BYTES:
        raise RejectedRecordError(Reason.TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
    wire = _decode_wire(payload)
    text = _required_text(wire)
    identity = _named("id", str(wire.id))
    source = _named("source", wire.source)
    published_at = _published_at(wire.published_at, now)
    return Document(
        id=identity,
        source=source,
        kind=wire.kind,
        published_at=published_at,
        text=text,
        title=_optional(wire.title),
        url=_optional(wire.url),
        author=_optional(wire.author),
        language=_optional(wire.language),
        symbols=_symbols(wire),
    )


def encode(document: Document) -> bytes:
    """The JSON form that ``decode`` reads back."""
    return msgspec.json.encode(document)


def _decode_wire(payload: bytes) -> _Wire:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RejectedRecordError(Reason.NOT_UTF8, str(error)) from error
    try:
        return _decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise RejectedRecordError(Reason.BAD_FIELD, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedRecordError(Reason.NOT_JSON, str(error)) from error


def _named(field: str, value: str) -> str:
    name = _printable(value)
    if not name:
        raise RejectedRecordError(Reason.BAD_FIELD, f"`{field}` holds nothing but white space")
    return name


def _required_text(wire: _Wire) -> str:
    if wire.text is None:
        raise RejectedRecordError(Reason.MISSING_TEXT, "no field `text`")
    text = _printable(wire.text)
    if not text:
        raise RejectedRecordError(Reason.EMPTY_TEXT, "`text` holds nothing but white space")
    return text


def _published_at(value: object, now: datetime) -> datetime:
    if value is None or value == "":
        raise RejectedRecordError(Reason.MISSING_DATE, "no field `published_at`")
    try:
        parsed = _parse(value)
        moment = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (TypeError, OverflowError, ValueError, OSError) as error:
        detail = f"`published_at` is no ISO 8601 date or UNIX time: {str(value)[:64]!r}"
        raise RejectedRecordError(Reason.BAD_DATE, detail) from error
    if moment < EARLIEST:
        raise RejectedRecordError(Reason.BAD_DATE, f"`published_at` is before 1900: {moment}")
    if moment > now + FUTURE_TOLERANCE:
        detail = f"`published_at` is in the future: {moment.isoformat()}"
        raise RejectedRecordError(Reason.FUTURE_DATE, detail)
    return moment


def _parse(value: object) -> datetime:
    """ISO 8601 text, or a UNIX time in seconds."""
    if isinstance(value, str):
        return datetime.fromisoformat(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    raise TypeError(f"a date cannot be a {type(value).__name__}")


def _symbols(wire: _Wire) -> tuple[str, ...]:
    named = [*(wire.symbols or ()), *((wire.symbol,) if wire.symbol else ())]
    cleaned = (_CASHTAG.sub("", _printable(name)).upper() for name in named)
    return tuple(sorted({name for name in cleaned if name})[:MAX_SYMBOLS])


def _optional(value: str | None) -> str | None:
    return (_printable(value) or None) if value else None


def _printable(text: str) -> str:
    """Without NUL, which no database stores, and without white space around."""
    return text.replace("\x00", "").strip()
