"""A year of a live run: 5 million documents by night and by day, and their sums for 120 keys.

Run it to fill a data folder that `TAPEWATCH_DATA_DIR` may name. Every number is drawn by hashing
the document's own, inside the server, so the same year comes out each time. The texts are those of
the demo's feed, two to a document. Alerts and what was told of them are ``aftermath``'s.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

if __name__ == "__main__":
    # The packages first: beside them, the folders of their tests would pass for them.
    sys.path += [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from aftermath import add_aftermath
from loading import loading, refresh
from sqlalchemy import Connection, text
from support.commands import DEMO_FEED

from classifier.labels import TOPICS, Labels
from ingest.decoding import read
from ingest.files import FeedFile
from store.commits import register_model
from store.database import Database
from store.embedded import EmbeddedPostgres
from store.runs import LIVE, Run, open_run
from store.views import summarize_runs

MODEL = "year"
SOURCES = (
    "harbor-wire", "quayside-post", "pitside", "morning-bell", "ledger-desk", "tickertalk",
    "northgate", "blue-board", "the-fold", "afterhours",
)  # fmt: skip
SYMBOLS = tuple(f"T{number:02}" for number in range(90))
"""With twenty topics and ten sources, 120 keys."""

_MONTH = timedelta(days=30)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Year:
    """How much there is, up to and without ``end``, a whole minute."""

    end: datetime
    documents: int = 5_000_000
    days: int = 365
    firings: int = 400

    @property
    def start(self) -> datetime:
        """The first minute."""
        return self.end - timedelta(days=self.days)


_POOL = """
create temporary table pool (
    n integer primary key, title text, text text not null
) on commit drop;
create temporary table part on commit drop as
select id, published_at, kind, sentiment, score, topic, source, symbols from documents limit 0;
"""

# Documents a minute follow the hour of the day and the day of the week; so many are numbered
# before each minute that the last number is the number of all documents.
_MINUTES = """
create temporary table minutes on commit drop as
with weighed as (
    select start, (
        (array[2,2,2,2,3,5,9,14,20,22,21,20,20,24,30,30,28,26,24,18,12,8,5,3])
            [1 + extract(hour from start)::integer]
        * case when extract(isodow from start) > 5 then 1 else 4 end)::bigint weight
    from generate_series(
        cast(:start as timestamptz), cast(:end as timestamptz) - interval '1 minute',
        interval '1 minute') start
), summed as (
    select start, sum(weight) over (order by start)::bigint upto, weight,
        sum(weight) over ()::bigint total
    from weighed
)
select start, (upto - weight) * :documents / total as before, upto * :documents / total as upto
from summed
"""

_DRAWS = ", ".join(f"(hashint8extended(i, {n}) & 2147483647)::integer u{n}" for n in range(1, 10))
"""Independent numbers of 31 bits."""

# A topic has a bad day now and then.
_DOCUMENTS = f"""
with made as (insert into documents (
    run_id, id, source, kind, published_at, ingested_at, title, text, url, author, language, topic,
    sentiment, score, topic_probabilities, sentiment_probabilities, truncated, model, symbols)
select :run_id, substr(md5(i::text), 1, 16), source, kind, moment,
    moment + interval '1 second' * (1 + u7 % 9),
    case when kind = 'news' then coalesce(first.title, first.text) end,
    first.text || ' ' || second.text,
    case when kind = 'news' then 'https://example.test/' || source || '/' || i end,
    case when kind = 'comment' then 'user' || u7 % 5000 end, 'en', topic,
    (array['negative', 'neutral', 'positive'])[1 + class],
    case class when 0 then low - high when 1 then low - middle else high - low end,
    array_fill(20::smallint, array[topic_place])
        || 9620::smallint || array_fill(20::smallint, array[19 - topic_place]),
    (case class when 0 then array[high, middle, low] when 1 then array[low, high, middle]
        else array[low, middle, high] end)::smallint[],
    false, :model,
    case when u5 % 100 < 40 then '{{}}' when u5 % 100 < 85 then array[one]
        when one = two then array[one]
        else array[least(one, two), greatest(one, two)] end
from (
    select i, moment, topic_place, class, u5, u7, high, middle, 10000 - high - middle low,
        (cast(:topics as text[]))[1 + topic_place] topic,
        (cast(:sources as text[]))[1 + floor(10 * power(u3 / 2147483648.0, 1.5))::integer] source,
        case when u4 % 5 < 3 then 'news' else 'comment' end kind,
        (cast(:symbols as text[]))[1 + floor(90 * power(u6 / 2147483648.0, 2))::integer] one,
        (cast(:symbols as text[]))[1 + u7 % 90] two,
        u8 % :pool first_n, u9 % :pool second_n
    from (
        select *, 4500 + u2 % 5400 high, (5500 - u2 % 5400) * (50 + u1 % 40) / 100 middle,
            case when u4 / 7 % 100 < 22 + 4 * (topic_place % 5)
                    + case when hashint4(topic_place * 1000 + day) % 23 = 0 then 40 else 0 end
                then 0 when u4 / 7 % 100 < 78 then 1 else 2 end class
        from (
            select *, floor(20 * power(u2 / 2147483648.0, 1.4))::integer topic_place,
                (moment at time zone 'UTC')::date - date '2000-01-01' as day
            from (
                select i, start + interval '1 second' * (u1 % 60) moment,
                    u1, u2, u3, u4, u5, u6, u7, u8, u9
                from minutes cross join lateral generate_series(before + 1, upto) i
                cross join lateral (
                    select {_DRAWS}
                ) drawn
                where start >= :from and start < :to
            ) placed
        ) themed
    ) judged
) told
join pool first on first.n = first_n
join pool second on second.n = second_n
order by moment
returning id, published_at, kind, sentiment, score, topic, source, symbols)
insert into part table made
"""

_SYMBOLS = """
insert into document_symbols (run_id, document_id, symbol, published_at)
select :run_id, id, symbol, published_at from part cross join lateral unnest(symbols) symbol
"""

# Minutes, hours and days in the order in which they began, as a worker would have left them.
_BUCKETS = """
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
with counted as (
    select scope, key, date_trunc('minute', published_at, 'UTC') start, kind, count(*) documents,
        count(*) filter (where sentiment = 'negative') negative,
        count(*) filter (where sentiment = 'neutral') neutral,
        count(*) filter (where sentiment = 'positive') positive, sum(score) score_sum
    from part cross join lateral (
        select 'all' scope, '' as key union all select 'topic', topic
        union all select 'source', source union all select 'symbol', unnest(symbols)
    ) scopes
    group by 1, 2, 3, 4
), summed as (
    select 'minute' width, * from counted
    union all
    select longer, scope, key, date_trunc(longer, start, 'UTC'), kind, sum(documents),
        sum(negative), sum(neutral), sum(positive), sum(score_sum)
    from counted cross join (values ('hour'), ('day')) widths (longer) group by 1, 2, 3, 4, 5
)
select :run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum
from summed order by start, width, scope, key, kind
"""

_CLEAR = "truncate part"

_COUNT = """
update counters
set documents = (select count(*) from documents where run_id = :run_id) where run_id = :run_id
"""


def fill(database: Database, year: Year) -> Run:
    """Fill an empty database with the year and its aftermath; the run."""
    with database.transaction() as connection:
        register_model(connection, MODEL, Labels())
        run = open_run(connection, LIVE)
    with loading(database) as connection:
        connection.execute(text("set local work_mem = '256MB'"))
        pool = _fill_pool(connection)
        moments = {"start": year.start, "end": year.end, "documents": year.documents}
        connection.execute(text(_MINUTES), moments)
        connection.execute(text("analyze minutes"))
        drawn = {
            "pool": pool,
            "model": MODEL,
            "topics": list(TOPICS),
            "sources": list(SOURCES),
            "symbols": list(SYMBOLS),
        }
        for begin, end in _months(year):
            span = {"run_id": run.id, "from": begin, "to": end}
            connection.execute(text(_DOCUMENTS), {**span, **drawn})
            connection.execute(text(_SYMBOLS), span)
            connection.execute(text(_BUCKETS), span)
            connection.execute(text(_CLEAR))
            print(f"documents to {end:%Y-%m-%d}", file=sys.stderr, flush=True)  # noqa: T201
    add_aftermath(database, run, year.start, year.end, firings=year.firings)
    with database.transaction() as connection:
        connection.execute(text(_COUNT), {"run_id": run.id})
    refresh(database)
    return run


def _months(year: Year) -> Iterator[tuple[datetime, datetime]]:
    """The year in parts that begin at whole days, so that no bucket is in two of them."""
    begin = year.start
    while begin < year.end:
        end = (begin + _MONTH).replace(hour=0, minute=0)
        yield begin, min(end, year.end)
        begin = end


def _fill_pool(connection: Connection) -> int:
    """The texts that documents are made of; how many."""
    with closing(FeedFile(DEMO_FEED)) as records:
        found = [entry.document for entry in read(list(records), datetime.now(UTC), 0.0)]
    texts = {document.text: document.title for document in found if document is not None}
    rows = [{"n": n, "title": texts[each], "text": each} for n, each in enumerate(texts)]
    connection.execute(text(_POOL))
    connection.execute(text("insert into pool values (:n, :title, :text)"), rows)
    connection.execute(text("analyze pool"))
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="data folder to fill")
    parser.add_argument("--documents", type=int, default=Year.documents)
    parser.add_argument("--days", type=int, default=Year.days)
    given = parser.parse_args()
    began = time.monotonic()
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    with year_in(given.folder, Year(end, given.documents, given.days)):
        print(f"filled in {time.monotonic() - began:.0f} s")  # noqa: T201


@contextmanager
def year_in(folder: Path, year: Year) -> Iterator[Database]:
    """The database of a data folder, filled with the year unless it holds one already."""
    EmbeddedPostgres(folder).close()  # some of its settings need a second start
    server = EmbeddedPostgres(folder)
    database = Database(server.url)
    try:
        database.migrate()
        with database.transaction() as connection:
            known = summarize_runs(connection)
        if not known:
            fill(database, year)
        elif not known[0].documents:
            raise SystemExit(f"{folder} was not filled to its end: remove it")
        yield database
    finally:
        database.close()
        server.close()


if __name__ == "__main__":
    main()
