"""What is read behind a firing, and what becomes of cards: on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from classifier.labels import Labels
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store import cards
from store.alertlog import EventRow, append_events
from store.commits import commit_batch, register_model
from store.preparing import prepare_batch
from store.runs import delete_run, open_run
from store.schema import alert_cards

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
BOTH = ("news", "comment")


@pytest.fixture
def run(database):
    with database.transaction() as connection:
        for model in ("m", "other"):
            register_model(connection, model, Labels(("Macro", "Oil")))
        made = open_run(connection, "live")
    yield made
    with database.transaction() as connection:
        delete_run(connection, "live")


def post(identity, at=NOON, text=None, **fields):
    values = {"source": "wire", "kind": "news", "text": text or f"text of {identity}", **fields}
    return Document(id=identity, published_at=at, **values)


def said(negative=0.5, topic="Macro", model="m"):
    share = round(negative * 10_000)
    sentiments = {"negative": share, "neutral": 10_000 - share, "positive": 0}
    return Prediction({"Macro": 0, "Oil": 0} | {topic: 10_000}, sentiments, model, 1)


def commit(database, run, *scored, late=0):
    posts, predictions = [p for p, _ in scored], [q for _, q in scored]
    partition = Partition("topic", 1)
    with database.transaction() as connection:
        positions = cards.read_positions(connection, run.id)
        before = positions[0].next_offset if positions else None
        step = Advance(partition, before, Checkpoint((before or 0) + len(posts), NOON), late)
        batch = prepare_batch(ScoredBatch(posts, predictions, [], [step]))
        commit_batch(connection, run.id, batch)


def evidence(database, run, scope="all", key="", kinds=BOTH, start=NOON, end=NOON + HOUR):
    with database.transaction() as connection:
        return cards.read_evidence(connection, run.id, scope, key, kinds, start, end)


def ids(found):
    return [candidate.id for candidate in found.candidates]


@pytest.mark.parametrize(
    ("moment", "within"),
    [
        (NOON - MICROSECOND, False),
        (NOON, True),
        (NOON + HOUR - MICROSECOND, True),
        (NOON + HOUR, False),
    ],
)
@pytest.mark.parametrize(
    ("scope", "key"), [("all", ""), ("topic", "Macro"), ("source", "wire"), ("symbol", "A")]
)
def test_a_window_begins_with_its_start_and_ends_before_its_end(
    database, run, scope, key, moment, within
):
    commit(database, run, (post("d", moment, symbols=("A",)), said()))

    found = evidence(database, run, scope, key)

    assert (found.examined, ids(found)) == ((1, ["d"]) if within else (0, []))
    assert found.models == ({"m": 1} if within else {})


@pytest.mark.parametrize(
    ("scope", "key", "kinds", "expected"),
    [
        ("all", "", BOTH, ["c", "b", "a"]),
        ("all", "", ("news",), ["b", "a"]),
        ("topic", "Oil", BOTH, ["b"]),
        ("topic", "oil", BOTH, []),
        ("source", "blog", BOTH, ["c"]),
        ("source", "blog", ("news",), []),
        ("symbol", "X", BOTH, ["c", "a"]),
        ("symbol", "X", ("comment",), ["c"]),
        ("symbol", "' or true --", BOTH, []),
    ],
)
def test_only_the_documents_of_key_and_kinds_count_the_most_negative_first(
    database, run, scope, key, kinds, expected
):
    commit(
        database,
        run,
        (post("a", symbols=("X", "Y")), said(0.3)),
        (post("b", symbols=("Y",)), said(0.4, "Oil")),
        (post("c", symbols=("X",), source="blog", kind="comment"), said(0.9)),
    )

    assert ids(evidence(database, run, scope, key, kinds)) == expected


def test_documents_of_another_run_do_not_count(database, run):
    with database.transaction() as connection:
        other = open_run(connection, "other")
    commit(database, other, (post("a", symbols=("X",)), said()))

    assert evidence(database, run).examined == evidence(database, run, "symbol", "X").examined == 0
    with database.transaction() as connection:
        delete_run(connection, "other")


def test_repeats_of_a_text_are_one_candidate_however_they_are_spaced(database, run):
    copies = ["Bank RUN\tnow", "bank run now", " BANK\n\nrun  now", "bankrun now"]
    commit(
        database,
        run,
        *((post(f"copy{i}", text=text), said(0.5 + i / 10)) for i, text in enumerate(copies)),
        (post("titled", title="Bank run now", text="more"), said(0.95, model="other")),
    )

    found = evidence(database, run)

    assert [(c.id, c.repeats) for c in found.candidates] == [("titled", 1), ("copy3", 4)]
    assert found.models == {"m": 4, "other": 1}
    assert (found.examined, found.candidates[0].score) == (5, -9500)


@pytest.mark.parametrize(
    ("first", "second", "candidates"),
    [
        ("the rover", "the roer", 2),
        ("the rover", "the\x0brover", 1),
        ("the rover", "the\u00a0Rover", 1),
        ("the rover", "the rover.", 2),
        ("x" * 1000 + "a", "x" * 1000 + "b", 1),
        ("x" * 999 + "a", "x" * 999 + "b", 2),
    ],
)
def test_texts_are_compared_without_case_and_white_space_up_to_a_length(
    database, run, first, second, candidates
):
    commit(database, run, (post("a", text=first), said()), (post("b", text=second), said()))

    assert len(evidence(database, run).candidates) == candidates


def test_what_is_examined_is_bounded_and_newest_first(database, run, monkeypatch):
    monkeypatch.setattr(cards, "SCANNED", 4)
    monkeypatch.setattr(cards, "EXAMINED", 2)
    commit(
        database,
        run,
        *((post(f"d{i}", NOON + i * MINUTE), said(0.9 - i / 10)) for i in range(6)),
    )

    found = evidence(database, run)
    assert (found.examined, ids(found)) == (2, ["d4", "d5"])
    monkeypatch.setattr(cards, "EXAMINED", 9)
    assert ids(evidence(database, run)) == ["d2", "d3", "d4", "d5"]


def test_a_flood_of_one_text_leaves_room_for_others(database, run):
    flood = [(post(f"f{i:03}", text="dump it"), said(0.9)) for i in range(200)]
    others = [(post(f"o{i:02}"), said(0.5)) for i in range(30)]
    commit(database, run, *flood, *others)

    found = evidence(database, run)

    assert len(found.candidates) == cards.CANDIDATES
    assert [(c.id, c.repeats) for c in found.candidates[:2]] == [("f000", 200), ("o00", 1)]


def test_positions_tell_how_far_each_partition_is_and_what_came_late(database, run):
    commit(database, run, (post("a"), said()), late=2)
    commit(database, run, (post("b"), said()), late=1)

    with database.transaction() as connection:
        assert cards.read_positions(connection, run.id) == [cards.Position("topic", 1, 2, 3)]


def event(at=NOON, rule="mood", key=""):
    return EventRow(
        rule=rule, key=key, scope="all", at=at, previous="inactive", state="firing",
        reason="beyond_threshold", severity=5, fired_at=at, value=1.0, documents=3,
        window_start=at - HOUR, window_end=at,
    )  # fmt: skip


def keep(database, run, *moments, at=NOON, rule="mood"):
    """A card that quotes documents of these moments."""
    drivers = [{"id": str(i), "published_at": m.isoformat()} for i, m in enumerate(moments)]
    with database.transaction() as connection:
        (number,) = append_events(connection, run.id, [event(at, rule)])
        card = {"drivers": drivers, "drivers_pruned": False, "severity": 5}
        kept = cards.NewCard(number, card, oldest=min(moments, default=None))
        cards.write_cards(connection, [kept])
    return number


def read(database, *numbers):
    with database.transaction() as connection:
        return cards.read_cards(connection, numbers)


def test_cards_go_with_their_run(database, run):
    number = keep(database, run, NOON)
    assert read(database, number, number + 1).keys() == {number}

    with database.transaction() as connection:
        delete_run(connection, "live")
        assert connection.scalar(select(func.count()).select_from(alert_cards)) == 0


def test_cards_are_found_by_alert_and_by_firing(database, run):
    first = keep(database, run, NOON, at=NOON)
    second = keep(database, run, NOON, at=NOON + HOUR)
    keep(database, run, NOON, rule="other")

    with database.transaction() as connection:
        of_alert = cards.read_cards_of_alert(connection, run.id, "mood", "")
        firings = [("mood", "", NOON), ("gone", "", NOON)]
        found = cards.read_cards_of_firings(connection, run.id, firings)
        assert cards.read_cards_of_firings(connection, run.id, []) == {}
    assert [row.event_id for row in of_alert] == [second, first]
    assert {alert: row.event_id for alert, row in found.items()} == {("mood", ""): first}


@pytest.mark.parametrize(
    ("before", "kept", "pruned"),
    [
        (NOON, ["0", "1"], False),
        (NOON + MICROSECOND, ["1"], True),
        (NOON + HOUR, ["1"], True),
        (NOON + HOUR + MICROSECOND, [], True),
    ],
)
def test_documents_before_a_moment_are_taken_out_of_cards(database, run, before, kept, pruned):
    number = keep(database, run, NOON, NOON + HOUR)
    with database.transaction() as connection:
        assert cards.forget_documents(connection, run.id + 1, before, 10) == 0
        assert cards.forget_documents(connection, run.id, before, 10) == pruned
        assert cards.forget_documents(connection, run.id, before, 10) == 0

    card = read(database, number)[number].card
    assert [driver["id"] for driver in card["drivers"]] == kept
    assert (card["drivers_pruned"], card["severity"]) == (pruned, 5)


def test_cards_are_emptied_a_batch_at_a_time(database, run):
    for i in range(3):
        keep(database, run, NOON, at=NOON + i * MINUTE)

    with database.transaction() as connection:
        counts = [cards.forget_documents(connection, run.id, NOON + HOUR, 2) for _ in range(3)]
    assert counts == [2, 1, 0]
