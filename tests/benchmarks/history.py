"""Makes a run look old: documents, symbols and buckets of the 90 days before 10 March 2026.

They are made inside the server and loaded without indexes. Knows no measuring.
"""

from loading import loading
from sqlalchemy import text

from classifier.labels import TOPICS
from store.database import Database

# Two symbols for a fifth of the documents and one for the others; few symbols are named often.
_DOCUMENTS = """
insert into documents (
    run_id, id, source, kind, published_at, title, text, url, author, language, topic, sentiment,
    score, topic_probabilities, sentiment_probabilities, truncated, model, symbols)
select :run_id, substr(md5(i::text), 1, 16),
    (array['wire', 'tape', 'posts', 'blog', 'desk'])[1 + i % 5],
    case when i % 2 = 0 then 'news' else 'comment' end,
    timestamptz '2026-03-10 00:00Z' - i * (interval '90 days' / :documents),
    case when i % 2 = 0 then md5((-i)::text) end,
    repeat(md5(i::text) || ' ', 3), 'https://example.test/' || i, 'author', 'en',
    (cast(:topics as text[]))[1 + i % 20],
    (array['negative', 'neutral', 'positive'])[1 + i % 3],
    (array[-6000, 0, 6000])[1 + i % 3], cast(:probabilities as smallint[]),
    '{3000,3000,4000}', false, 'history',
    array(select 'S' || floor(power(500, (i::bigint * 7919 % 1000) / 1000.0)) + n
        from generate_series(0, case when i % 5 = 0 then 1 else 0 end) n order by 1)
from generate_series(1, cast(:documents as integer)) i
"""

_SYMBOLS = """
insert into document_symbols (run_id, document_id, symbol, published_at)
select run_id, id, named.symbol, published_at
from documents cross join lateral unnest(symbols) named (symbol) where run_id = :run_id
"""

_BUCKETS = """
insert into time_buckets (
    run_id, width, scope, key, start, kind, documents, negative, neutral, positive, score_sum)
select distinct :run_id, width, scope, key, date_trunc(width, start), 'news', 1, 1, 0, 0, -6000
from generate_series(
    timestamptz '2025-12-10 00:00Z', '2026-03-09 23:59Z',
    greatest(interval '1 minute', interval '90 days' * 20 / :documents)) start
cross join (select 'topic', unnest(cast(:topics as text[])) union all select 'all', '')
    scopes (scope, key)
cross join (values ('minute'), ('hour'), ('day')) widths (width)
"""


def add_history(database: Database, run_id: int, documents: int) -> None:
    """Fill the empty run with so many documents, and make fresh statistics."""
    if not documents:
        return
    names = {
        "run_id": run_id,
        "documents": documents,
        "topics": list(TOPICS),
        "probabilities": [500] * len(TOPICS),
    }
    with loading(database) as connection:
        connection.execute(text(_DOCUMENTS), names)
        connection.execute(text(_SYMBOLS), names)
        connection.execute(text(_BUCKETS), names)
