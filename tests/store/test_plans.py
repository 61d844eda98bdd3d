"""What runs often costs the same however much a run holds: it reads no table or index whole.

The plans are those that PostgreSQL makes, in the very transactions, over 100,000 documents of 90
days with fresh statistics.
"""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from benchmarks.history import add_history
from sqlalchemy import event

from classifier.labels import SENTIMENTS, TOPICS, Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import (
    buckets,
    cards,
    corrections,
    drift,
    health,
    movement,
    pruning,
    rescoring,
    run_list,
    runs,
    views,
)
from store.alertlog import lock_cursor, read_progress
from store.commits import commit_batch, register_model
from store.database import Database
from store.minutes import read_minutes
from store.preparing import prepare_batch
from store.retention import move_horizon, read_cutoff
from store.search import Order, Place, Search, read_document, search

END = datetime(2026, 3, 10, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LARGE = {"documents", "document_symbols", "time_buckets"}


@pytest.fixture(scope="module")
def database(postgres):
    """A database whose one run has 100,000 documents."""
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        with opened.transaction() as connection:
            register_model(connection, "history", Labels())
            register_model(connection, "new", Labels())
            run = runs.open_run(connection, "live")
        add_history(opened, run.id, 100_000)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run(database):
    with database.transaction() as connection:
        return runs.find_run(connection, "live")


@contextmanager
def planned(database):
    """The transaction to act in, which is rolled back, and the plans of all that is asked in it."""
    plans = []

    def explain(connection, _cursor, statement, parameters, *_):
        if statement.split(None, 1)[0].lower() in ("select", "insert", "update", "delete", "with"):
            driver = connection.connection.driver_connection
            (found,) = driver.execute(f"explain (format json) {statement}", parameters).fetchone()
            plans.append((statement, found[0]["Plan"]))

    with database.engine.connect() as connection:
        event.listen(database.engine, "before_cursor_execute", explain)
        try:
            yield connection, plans
        finally:
            event.remove(database.engine, "before_cursor_execute", explain)
            connection.rollback()


def nodes(plan):
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def read_whole(plan):
    """The nodes of a plan that read a large table, or an index of one, from end to end."""
    for node in nodes(plan):
        kind = node["Node Type"]
        if kind == "Seq Scan" and node["Relation Name"] in LARGE:
            yield node
        if kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan"):
            if node["Index Name"].startswith("pg_"):
                continue  # the catalogue; a bitmap scan does not name its table
            within = node.get("Index Cond", "")
            if node.get("Relation Name", "time_buckets") in LARGE and "run_id" not in within:
                yield node


def assert_reads_parts_only(plans):
    """None reads a large table whole, and each large index is entered by more than the run."""
    assert plans
    for statement, plan in plans:
        found = list(read_whole(plan))
        assert not found, f"{statement}\n{json.dumps(found, indent=1)}"


def post(number, *symbols, at=END):
    return Document(
        id=f"new{number:05}", source="wire", kind="news", published_at=at, text="x", symbols=symbols
    )


def said(model="history"):
    sure = dict.fromkeys(SENTIMENTS, 0) | {"negative": 10_000}
    return Prediction(dict.fromkeys(TOPICS, 500), sure, model, 1)


def batch_of(posts, number=0):
    step = Advance(Partition("topic", number), None, Checkpoint(1, END))
    return ScoredBatch(posts, [said() for _ in posts], [], [step])


@pytest.mark.parametrize("size", [1, 64, 512, 8192])
def test_a_commit_finds_repeats_symbols_and_buckets_by_their_keys(database, run, size):
    posts = [post(i, "S1", f"S{i % 500}", at=END - i * timedelta(seconds=1)) for i in range(size)]
    again = [post(i, "S2", "S3") for i in range(0, size, 2)]
    with planned(database) as (connection, plans):
        commit_batch(connection, run.id, prepare_batch(batch_of(posts)))
        commit_batch(connection, run.id, prepare_batch(batch_of([*again, post(99_999, "S1")], 1)))

    assert_reads_parts_only(plans)
    touched = {node.get("Relation Name") for _, plan in plans for node in nodes(plan)}
    assert touched >= LARGE


@pytest.mark.parametrize("size", [1, 512])
def test_a_rescored_batch_is_found_by_its_ids(database, run, size):
    with planned(database) as (connection, plans):
        found = rescoring.documents_to_rescore(connection, run.id, "new", "8", size)
        assert len(found) == size
        rescoring.replace_scores(connection, run.id, found, [said("new") for _ in found])

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("scope", buckets.SCOPES)
@pytest.mark.parametrize("keys", [None, ["Macro", "Earnings"]])
def test_the_alerter_reads_the_minutes_that_it_judges(database, run, scope, keys):
    with planned(database) as (connection, plans):
        lock_cursor(connection, run.id)
        read_progress(connection, run.id)
        buckets.span(connection, run.id)
        every = None if keys else END - HOUR
        buckets.read_scope(connection, run.id, scope, END, every, END - HOUR, keys or ())
        buckets.count_documents(connection, run.id, END - HOUR, END)

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("keys", [None, ["Macro"]])
@pytest.mark.parametrize("width", ["minute", "hour"])
def test_earlier_days_are_read_span_by_span(database, run, width, keys, summed):
    spans = [(END - day * DAY - HOUR, END - day * DAY) for day in range(1, 29)]
    with planned(database) as (connection, plans):
        buckets.read_spans(connection, run.id, width, "topic", spans, keys, summed=summed)

    assert_reads_parts_only(plans)
    ((_, plan),) = plans
    (scan,) = (node for node in nodes(plan) if "Index Name" in node)
    assert "s.first" in scan["Index Cond"]
    assert "s.last" in scan["Index Cond"]


@pytest.mark.parametrize("scope", buckets.SCOPES)
def test_a_backtest_reads_the_keys_that_it_judges(database, run, scope):
    with planned(database) as (connection, plans):
        buckets.list_keys(connection, run.id, scope)
        read_minutes(connection, run.id, scope, ("Macro",), END - DAY, END)

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("span", [HOUR, DAY, 30 * DAY], ids=["hour", "day", "month"])
@pytest.mark.parametrize(
    ("scope", "key"),
    [("all", ""), ("topic", "Macro"), ("source", "wire"), ("symbol", "S1"), ("symbol", "S402")],
)
def test_a_firing_is_explained_by_one_query_of_bounded_cost(database, run, scope, key, span):
    with planned(database) as (connection, plans):
        window = (END - span, END)
        found = cards.read_evidence(connection, run.id, scope, key, ["news", "comment"], *window)

    assert (1 if span > DAY else 0) <= found.examined <= cards.EXAMINED
    assert len(plans) == 1
    assert_reads_parts_only(plans)
    limits = [node["Plan Rows"] for node in nodes(plans[0][1]) if node["Node Type"] == "Limit"]
    assert max(limits) <= cards.SCANNED
    if scope == "symbol":
        entered = [
            node for node in nodes(plans[0][1]) if "(symbol = " in node.get("Index Cond", "")
        ]
        assert [node["Index Name"] for node in entered] == ["document_symbols_pkey"]


SLICES = [
    views.Slice(1, "all", END - DAY, END),
    views.Slice(1, "all", END - DAY, END, kind="news"),
    views.Slice(1, "topic", END - DAY, END, key="Macro"),
    views.Slice(1, "source", END - DAY, END, key="wire"),
    views.Slice(1, "symbol", END - DAY, END, key="S1"),
    views.Slice(1, "symbol", END - DAY, END, key="S400"),
]


@pytest.mark.parametrize("part", SLICES, ids=lambda part: f"{part.scope}-{part.key}-{part.kind}")
def test_a_screen_reads_its_slice(database, run, part):
    with planned(database) as (connection, plans):
        views.summarize_runs(connection)
        views.read_bins(connection, part, timedelta(minutes=15))
        views.read_bins(connection, part, HOUR)
        views.largest_keys(connection, part)
        views.read_documents(connection, part)
        views.read_documents(connection, part, negative_first=True)
        views.read_content(connection, run.id, "c4ca4238a0b92382")
        corrections.labels_of(connection, run.id, "c4ca4238a0b92382")
        corrections.corrections_of(connection, run.id, "c4ca4238a0b92382")

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("part", SLICES, ids=lambda part: f"{part.scope}-{part.key}-{part.kind}")
def test_the_page_of_a_subject_reads_its_slice(database, run, part):
    with planned(database) as (connection, plans):
        movement.read_parts(connection, part)
        for since in (END - HOUR, END - HOUR / 4):
            movement.read_changes(connection, part, since)

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("part", SLICES, ids=lambda part: f"{part.scope}-{part.key}-{part.kind}")
def test_a_subject_of_all_time_is_split_by_its_newest_documents(database, run, part):
    ever = replace(part, start=END - 90 * DAY)
    with planned(database) as (connection, plans):
        movement.read_parts(connection, ever, read=100)

    assert_reads_parts_only(plans)
    limits = [node["Plan Rows"] for node in nodes(plans[0][1]) if node["Node Type"] == "Limit"]
    assert limits
    assert max(limits) <= 100
    sorted_ones = [node for node in nodes(plans[0][1]) if node["Node Type"] == "Sort"]
    assert all(node["Plan Rows"] <= 5_000 for node in sorted_ones)


@pytest.mark.parametrize("negative_first", [True, False])
@pytest.mark.parametrize("kind", [None, "news"])
@pytest.mark.parametrize(
    ("scope", "key"),
    [("all", None), ("topic", "Macro"), ("source", "wire"), ("symbol", "S1"), ("symbol", "S402")],
)
def test_a_list_of_all_time_looks_at_no_more_documents_than_it_says(
    database, run, scope, key, kind, negative_first
):
    part = views.Slice(run.id, scope, END - 90 * DAY, END, kind, key)
    with planned(database) as (connection, plans):
        views.read_documents(connection, part, negative_first=negative_first)
        views.left_out_until(connection, part)

    assert_reads_parts_only(plans)
    listed, _ = (plan for _, plan in plans)
    most = views.EXAMINED_OF_SYMBOL if scope == "symbol" else views.EXAMINED
    scans = [node for node in nodes(listed) if "Index Name" in node]
    entered = {node["Index Name"] for node in scans}
    by_time = {"symbol": "document_symbols_pkey", "topic": "documents_by_topic"}
    assert entered == {by_time.get(scope, "documents_by_time"), "documents_pkey"}
    sorts = [node for node in nodes(listed) if node["Node Type"].endswith("Sort")]
    assert sorts
    assert max(node["Plan Rows"] for node in sorts) <= most
    if not negative_first:  # it ends with the first that are enough
        assert {node["Node Type"] for node in sorts} == {"Incremental Sort"}


@pytest.mark.parametrize("key", [None, "Macro"])
@pytest.mark.parametrize("size", [DAY, 7 * DAY])
def test_hours_of_all_time_are_read_bin_by_bin_where_they_lie_together(database, run, key, size):
    part = views.Slice(run.id, "topic", END - 90 * DAY, END, None, key)
    with planned(database) as (connection, plans):
        assert views.read_bins(connection, part, size)

    assert_reads_parts_only(plans)
    ((_, plan),) = plans
    (scan,) = (node for node in nodes(plan) if "Index Name" in node)
    assert scan["Index Name"] == ("buckets_by_time" if key is None else "time_buckets_pkey")
    assert "bins.start" in scan["Index Cond"]


@pytest.mark.parametrize("scope", ["topic", "symbol"])
@pytest.mark.parametrize(("end", "width"), [(END, "day"), (END - HOUR, "hour")])
def test_whole_days_are_read_from_the_buckets_of_days(database, run, scope, end, width):
    part = views.Slice(run.id, scope, END - 90 * DAY, end)
    with planned(database) as (connection, plans):
        movement.read_changes(connection, part, END - 7 * DAY)
        views.read_bins(connection, part, 7 * DAY)

    assert_reads_parts_only(plans)
    scans = [node for _, plan in plans for node in nodes(plan) if "Index Cond" in node]
    assert scans
    for scan in scans:
        assert f"width = '{width}'::text" in scan["Index Cond"]


def test_keys_of_all_time_are_found_one_after_the_other(database, run):
    part = views.Slice(run.id, "topic", END - 90 * DAY, END)
    with planned(database) as (connection, plans):
        assert len(views.largest_keys(connection, part)) == len(TOPICS)
        assert len(views.largest_keys(connection, part, limit=5)) == 5

    assert_reads_parts_only(plans)
    _, plan = plans[0]
    assert {node["Index Name"] for node in nodes(plan) if "Index Name" in node} == {
        "time_buckets_pkey"
    }
    assert not [node for node in nodes(plan) if "Aggregate" in node["Node Type"]]


def test_the_newest_documents_of_all_time_are_read_from_the_end(database, run):
    part = views.Slice(run.id, "all", END - 90 * DAY, END)
    with planned(database) as (connection, plans):
        assert len(views.read_documents(connection, part, limit=50)) == 50

    assert_reads_parts_only(plans)


SEARCHES = [
    {},
    {"words": "c4ca4238a0b923820dcc509a6f75849b"},
    {"topic": "Macro"},
    {"symbol": "S1"},
    {"symbol": "S400", "words": "nowhere"},
    {"source": "wire", "kind": "news", "sentiment": "negative", "model": "history"},
    {"uncorrected": True},
]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("filters", SEARCHES, ids=lambda filters: "-".join(filters) or "all")
def test_a_search_reads_its_span(database, run, filters, order):
    asked = Search(run.id, END - DAY, END, order=order, **filters)
    with planned(database) as (connection, plans):
        search(connection, asked)
        search(connection, asked, Place(0, END - HOUR, "c4ca4238a0b92382"))
        read_document(connection, run.id, "c4ca4238a0b92382")

    assert_reads_parts_only(plans)


def test_a_search_of_all_time_finds_where_it_begins_to_read(database, run):
    with planned(database) as (connection, plans):
        page = search(connection, Search(run.id, END - 90 * DAY, END, "nowhere"))

    assert page.read_from is not None
    assert_reads_parts_only(plans)


def test_the_state_of_the_system_is_told_of_the_newest_documents(database, run):
    with planned(database) as (connection, plans):
        health.read_partitions(connection, run.id)
        health.read_publish_lag(connection, run.id)
        health.read_models_used(connection, run.id)
        health.read_table_sizes(connection)

    assert_reads_parts_only(plans)


def test_the_list_of_runs_reads_the_ends_of_each(database):
    with planned(database) as (connection, plans):
        (listed,) = run_list.list_with_figures(connection)

    assert listed.model == "history"
    assert_reads_parts_only(plans)
    ((_, plan),) = plans
    large = [node for node in nodes(plan) if node.get("Relation Name") in LARGE]
    assert len(large) == 3
    assert {node["Node Type"] for node in large} <= {"Index Scan", "Index Only Scan"}


def test_drift_reads_its_span(database, run):
    with planned(database) as (connection, plans):
        drift.sample_for_drift(connection, run.id, END - DAY, END, 100)

    assert_reads_parts_only(plans)


@pytest.mark.parametrize("age", [timedelta(days=89), timedelta(days=45), timedelta(days=1)])
def test_a_pruned_batch_is_found_by_its_age(database, run, age):
    before = END - age
    with planned(database) as (connection, plans):
        read_cutoff(connection, run.id, before, HOUR)
        move_horizon(connection, run.id, before, None)
        position = pruning.BEGINNING
        for _ in range(2):
            deleted = pruning.delete_documents(connection, run.id, before, position, 500)
            assert deleted.documents == 500
            position = deleted.last
        for scope in ("all", "topic"):
            span = (pruning.BEGINNING[0], before)
            pruning.delete_buckets(connection, run.id, "minute", scope, span, 500)

    assert_reads_parts_only(plans)
