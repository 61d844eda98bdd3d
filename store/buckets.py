"""Time buckets: sums of minutes, hours and days by scope, key and kind. A window is a sum of them.

Knows no rule and no threshold.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import Connection, and_, func, or_, select, text

from store.schema import time_buckets

SCOPES = ("all", "topic", "symbol", "source")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTHS = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
"""How long a bucket may be, the longest first. Buckets begin at whole ones from ``EPOCH``."""

ADD_TO_KNOWN = """
on conflict (run_id, width, scope, key, start, kind) do update set
    documents = time_buckets.documents + excluded.documents,
    negative = time_buckets.negative + excluded.negative,
    neutral = time_buckets.neutral + excluded.neutral,
    positive = time_buckets.positive + excluded.positive,
    score_sum = time_buckets.score_sum + excluded.score_sum
"""
"""The end of an insertion into the time buckets: what is there already is added to."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What a window holds. ``score_sum`` is in units of 1e-4."""

    documents: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    score_sum: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.documents + other.documents,
            self.negative + other.negative,
            self.neutral + other.neutral,
            self.positive + other.positive,
            self.score_sum + other.score_sum,
        )

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.documents - other.documents,
            self.negative - other.negative,
            self.neutral - other.neutral,
            self.positive - other.positive,
            self.score_sum - other.score_sum,
        )


def widest(*moments: datetime) -> str:
    """The longest buckets that begin at all of ``moments``, which are whole minutes at least."""
    whole = (
        width
        for width, length in WIDTHS.items()
        if not any((moment - EPOCH) % length for moment in moments)
    )
    return next(whole, "minute")


MinuteRow = tuple[str, datetime, str, int, int, int, int, int]
"""Key, start and kind of a minute, then what ``Sums`` holds."""


def list_keys(connection: Connection, run_id: int, scope: str) -> list[str]:
    """Every key that a scope of the run has buckets of, in order."""
    table = time_buckets.c
    statement = (
        select(table.key)
        .where(table.run_id == run_id, table.width == "day", table.scope == scope)
        .distinct()
    )
    return sorted(connection.scalars(statement))


def read_scope(  # noqa: PLR0913 - two spans of one scope of one run
    connection: Connection,
    run_id: int,
    scope: str,
    end: datetime,
    every_key_from: datetime | None,
    named_from: datetime | None,
    named: Collection[str],
) -> list[MinuteRow]:
    """The minute buckets of a scope before ``end``, by key and time, in one query.

    Those of every key from one moment on, and those of the ``named`` keys from another; a moment
    that is None leaves its part out.
    """
    table = time_buckets.c
    parts = []
    if every_key_from is not None:
        parts.append(table.start >= every_key_from)
    if named_from is not None and named:
        parts.append(and_(table.start >= named_from, table.key.in_(sorted(named))))
    if not parts:
        return []
    earliest = min(moment for moment in (every_key_from, named_from) if moment is not None)
    statement = (
        select(
            table.key,
            table.start,
            table.kind,
            table.documents,
            table.negative,
            table.neutral,
            table.positive,
            table.score_sum,
        )
        .where(table.run_id == run_id, table.width == "minute", table.scope == scope)
        .where(table.start >= earliest, table.start < end, or_(*parts))
        .order_by(table.key, table.start, table.kind)
    )
    # As plain rows, all at once: there may be many, and an object for each would cost most.
    return cast("list[MinuteRow]", connection.execute(statement).all())


_OF_SPAN = """
from time_buckets
where run_id = :run_id and width = :width and scope = :scope
    and start >= s.first and start < s.last and (:every_key or key = any(:keys))
"""
_EACH = "from unnest(cast(:starts as timestamptz[]), cast(:ends as timestamptz[])) s (first, last)"
# Neither may be flattened: one span after the other, by the index of times, reads no more than it
# must, and the planner would rather join all buckets of the scope with the spans.
_SPANS = text(f"""
select b.key, b.start, b.kind, b.documents, b.negative, b.neutral, b.positive, b.score_sum
{_EACH} cross join lateral (select * {_OF_SPAN} offset 0) b
order by b.key, b.start, b.kind
""")
_SUMS_OF_SPANS = text(f"""
select b.key, s.first, b.kind, b.documents, b.negative, b.neutral, b.positive, b.score_sum
{_EACH} cross join lateral (
    select key, kind, sum(documents)::bigint documents, sum(negative)::bigint negative,
        sum(neutral)::bigint neutral, sum(positive)::bigint positive,
        sum(score_sum)::bigint score_sum
    {_OF_SPAN} group by key, kind
) b
order by b.key, s.first, b.kind
""")


def read_spans(  # noqa: PLR0913 - some spans of one scope of one run
    connection: Connection,
    run_id: int,
    width: str,
    scope: str,
    spans: Sequence[tuple[datetime, datetime]],
    keys: Collection[str] | None,
    *,
    summed: bool = False,
) -> list[MinuteRow]:
    """The buckets of a ``width`` that begin in any of ``spans``, by key and time, in one query.

    Spans [start, end) must not overlap. ``keys`` None: of every key. ``summed``: each span as one
    row of each key, which stands at the span's start.
    """
    names = {
        "run_id": run_id,
        "width": width,
        "scope": scope,
        "starts": [start for start, _ in spans],
        "ends": [end for _, end in spans],
        "every_key": keys is None,
        "keys": sorted(keys or ()),
    }
    rows = connection.execute(_SUMS_OF_SPANS if summed else _SPANS, names)
    return cast("list[MinuteRow]", rows.all())


def count_documents(connection: Connection, run_id: int, start: datetime, end: datetime) -> int:
    """How many documents of the run lie in the minutes that begin in [start, end)."""
    table = time_buckets.c
    total = connection.scalar(
        select(func.coalesce(func.sum(table.documents), 0)).where(
            table.run_id == run_id,
            table.width == "minute",
            table.scope == "all",
            table.start >= start,
            table.start < end,
        )
    )
    return int(total or 0)


def span(connection: Connection, run_id: int) -> tuple[datetime, datetime] | None:
    """The first and the last minute of the run that hold a document; None while it is empty."""
    table = time_buckets.c
    first, last = connection.execute(
        select(func.min(table.start), func.max(table.start)).where(
            table.run_id == run_id, table.width == "minute", table.scope == "all"
        )
    ).one()
    return None if first is None else (first, last)


def counted_documents(connection: Connection, run_id: int) -> int:
    """The sum over the minute buckets of the scope ``all``: the run's documents."""
    table = time_buckets.c
    total = connection.scalar(
        select(func.coalesce(func.sum(table.documents), 0)).where(
            table.run_id == run_id, table.width == "minute", table.scope == "all"
        )
    )
    return int(total or 0)
