"""Cards: what the pure part makes of evidence, and that each firing keeps its own, once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import func, select
from support.alerting import MINUTE, NOON, RULE, SCARE, at, commit_drawn

import alerts.alerter
from alerts.alerter import Alerter
from alerts.cards import explaining
from alerts.cards.card import (
    MOST_DRIVERS,
    Missing,
    Window,
    chosen,
    drivers_of,
    is_explained,
    make_card,
    normalized,
    oldest_of,
)
from alerts.cards.wording import brief, facts
from alerts.evaluation import judging
from alerts.rules.policies import Grouping
from alerts.rules.ruleset import RuleSet
from classifier.prediction import Prediction
from ingest.batch import Advance, Checkpoint, Partition, ScoredBatch
from ingest.document import Document
from store.alertlog import EventRow
from store.buckets import Sums
from store.cards import Candidate, Evidence, Position, read_cards_of_alert
from store.commits import commit_batch
from store.digest import digest
from store.preparing import prepare_batch
from store.schema import alert_cards, alert_events, alert_states, outbox

RULES = RuleSet(rules=(RULE,), grouping=Grouping(interval=timedelta(0), repeat=5 * MINUTE))
HOSTILE = (
    "@everyone <!channel> [click](https://evil.example) **now** `x` "
    "\u202etxt.exe\u202c \x1b[31mred\x07 {{7*7}} $summary %s"
)


def event(state="firing", minute=6, fired=6, **fields):
    values = {
        "rule": "mood", "key": "", "scope": "all", "at": at(minute), "previous": "inactive",
        "state": state, "reason": "beyond_threshold", "severity": 5,
        "fired_at": None if fired is None else at(fired), "value": 0.75, "documents": 4,
        "window_start": at(minute - 3), "window_end": at(minute),
    }  # fmt: skip
    return EventRow(**values | fields)


def candidate(identity="d", score=-5000, repeats=1, **fields):
    values = {"source": "wire", "kind": "news", "title": None, "text": f"text of {identity}"}
    values |= {"url": None, "published_at": at(4), **fields}
    return Candidate(id=identity, score=score, repeats=repeats, **values)


def card_of(*candidates, sums=Sums(4, 3, 1, 0, -24_000), positions=(), **fields):  # noqa: B008
    evidence = Evidence(4, {"m": 4}, candidates)
    made = make_card(event(**fields), RULE, Window(sums, 2), evidence, positions, MINUTE)
    return json.loads(json.dumps(made.as_dict()))


def test_a_card_says_all_that_was_judged_and_read():
    positions = [Position("topic", 0, 12, 1), Position("topic", 1, 0, 2)]

    assert card_of(candidate(repeats=2, url="https://example.test/a"), positions=positions) == {
        "version": 2,
        "window": {
            "start": "2026-03-10T12:03:00+00:00", "end": "2026-03-10T12:06:00+00:00",
            "documents": 4, "negative": 3, "neutral": 1, "positive": 0, "mean_score": -0.6,
        },
        "rule": {
            "type": "threshold", "condition": "negative share >= 0.6", "value": 0.75,
            "metric": "negative_share", "operator": ">=", "threshold": 0.6, "clear": 0.4,
            "baseline": None, "band": None, "surprise": None,
        },
        "severity": 5,
        "drivers": [{
            "id": "d", "source": "wire", "kind": "news", "title": None, "text": "text of d",
            "published_at": "2026-03-10T12:04:00+00:00", "url": "https://example.test/a",
            "score": -0.5, "repeats": 2,
        }],
        "drivers_pruned": False,
        "examined": 4,
        "models": {"m": 4},
        "coverage": {
            "minutes": 2, "of_minutes": 3, "allowed_lateness_seconds": 60.0, "late": 3,
        },
        "offsets": ["topic[0]@12", "topic[1]@0"],
    }  # fmt: skip


def test_an_empty_window_has_no_mean_score_and_can_be_told():
    card = card_of(sums=Sums(), value=None)

    assert (card["window"]["mean_score"], card["drivers"]) == (None, [])
    assert "Judged: negative share none >= 0.6, clear at 0.4" in list(map(str, facts(card)))
    assert brief(card)["drivers"] == []


@pytest.mark.parametrize(
    ("state", "minute", "fired", "expected"),
    [
        ("firing", 6, 6, True),
        ("firing", 7, 6, False),
        ("pending", 6, None, False),
        ("resolved", 6, 6, False),
        ("no_data", 6, 6, False),
    ],
)
def test_only_a_firing_that_begins_gets_a_card(state, minute, fired, expected):
    assert is_explained(event(state, minute, fired)) is expected


def test_the_gravest_and_then_the_latest_get_the_cards_there_are():
    happened = [
        (1, event(severity=3)),
        (2, event(severity=8)),
        (3, event(severity=8, minute=9, fired=9)),
        (4, event("resolved", severity=10)),
        (5, event(severity=5, key="b")),
        (6, event(severity=5, key="a")),
    ]
    carded, rest = chosen(happened, limit=3)
    assert [number for number, _ in carded] == [3, 2, 6]
    assert [number for number, _ in rest] == [5, 1]
    assert chosen(happened, limit=5)[1] == []


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Bank run", "bank  RUN\n", True),
        ("Bank run", "\u00a0bank\u2003run", True),
        ("STRASSE", "stra\u00dfe", True),
        ("bank run", "bank runs", False),
        ("bank run", "bank run!", False),
    ],
)
def test_texts_that_differ_in_case_and_space_alone_are_repeats(first, second, same):
    assert (normalized(first) == normalized(second)) is same
    drivers = drivers_of([candidate("a", text=first, repeats=2), candidate("b", text=second)])
    assert [(d.id, d.repeats) for d in drivers] == ([("a", 3)] if same else [("a", 2), ("b", 1)])


@given(st.lists(st.tuples(st.sampled_from("aAbBcdefgh"), st.integers(1, 9)), max_size=20))
def test_drivers_are_the_first_of_each_text_and_count_every_repeat(drawn):
    given_ = [candidate(str(i), text=t, repeats=n) for i, (t, n) in enumerate(drawn)]
    everything = drivers_of(given_, most=99)
    assert sum(d.repeats for d in everything) == sum(n for _, n in drawn)
    assert len({normalized(d.text) for d in everything}) == len(everything)
    assert [int(d.id) for d in everything] == sorted(int(d.id) for d in everything)
    assert drivers_of(given_) == everything[:MOST_DRIVERS]


@pytest.mark.parametrize(("length", "kept"), [(279, 279), (280, 280), (281, 280), (1000, 280)])
def test_texts_are_cut_at_280_characters(length, kept):
    (driver,) = drivers_of([candidate(text="x" * length, title="t" * length)])
    assert (len(driver.text), len(driver.title)) == (kept, kept)
    assert driver.text.endswith("\u2026") is (length > kept)


def test_the_oldest_of_the_drivers_is_known():
    drivers = drivers_of([candidate("a", published_at=at(4)), candidate("b", published_at=at(3))])
    assert (oldest_of(drivers), oldest_of(())) == (at(3), None)


@given(st.text(max_size=300), st.text(max_size=300) | st.none())
def test_what_is_told_of_a_headline_is_inert_and_short(text, title):
    told = brief(card_of(*(candidate(str(i), text=f"{i}{text}", title=title) for i in range(6))))
    assert len(told["drivers"]) <= 3
    for driver in told["drivers"]:
        assert len(driver["headline"]) <= 130
        assert not set("@<>*`~[]|#\u202e\x1b\n") & set(driver["headline"])
        assert "://" not in driver["headline"]


def judge(database, run, rules=RULES, *, notify=True):
    Alerter(database, run, rules, notify=notify).advance(NOON, finish=True)


def cards(database, run, rule="mood", key=""):
    with database.transaction() as connection:
        return read_cards_of_alert(connection, run.id, rule, key)[::-1]


def payloads(database):
    statement = select(outbox.c.payload).order_by(outbox.c.seq)
    with database.transaction() as connection:
        return list(connection.scalars(statement))


def total(database, table):
    with database.transaction() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def commit(database, run, posts, models=("m",)):
    """Documents, each given as minute, text and how negative, with other fields of it."""
    documents, predictions = [], []
    for i, (minute, text, negative, fields) in enumerate(posts):
        values = {"id": f"d{i}", "source": "wire", "kind": "news", **fields}
        documents.append(Document(published_at=at(minute), text=text, **values))
        shares = {"negative": negative, "neutral": 10_000 - negative, "positive": 0}
        predictions.append(Prediction({"Macro": 10_000}, shares, models[i % len(models)], 1))
    step = Advance(Partition("topic", 0), None, Checkpoint(len(posts), at(8)), late=1)
    with database.transaction() as connection:
        batch = prepare_batch(ScoredBatch(documents, predictions, [], [step]))
        commit_batch(connection, run.id, batch)


def test_each_firing_keeps_its_own_card(database, run):
    commit_drawn(database, run, SCARE)

    judge(database, run)

    found = cards(database, run)
    assert [(row.at, row.reason) for row in found] == [(at(6), None), (at(16), None)]
    windows = [row.card["window"] for row in found]
    assert [(w["start"], w["end"]) for w in windows] == [
        (at(3).isoformat(), at(6).isoformat()), (at(13).isoformat(), at(16).isoformat()),
    ]  # fmt: skip
    assert [(w["documents"], w["negative"], w["neutral"]) for w in windows] == [(3, 2, 1)] * 2
    first = found[0].card
    assert first["rule"]["value"] == pytest.approx(2 / 3)
    assert [(d["id"], d["repeats"]) for d in first["drivers"]] == [(f"{at(5)}", 3)]
    assert (first["examined"], first["models"], first["offsets"]) == (3, {"m": 3}, ["topic[0]@1"])
    assert first["coverage"] == {
        "minutes": 3, "of_minutes": 3, "allowed_lateness_seconds": 60.0, "late": 0,
    }  # fmt: skip


def test_the_window_of_a_card_holds_its_start_and_not_its_end(database, run):
    posts = [
        (3, "at the start", 9000, {}),
        (2.99, "before it", 9999, {}),
        (5.5, "within", 8000, {"title": HOSTILE, "url": "javascript:alert(1)"}),
        (6, "at the end", 9999, {}),
        (8, "after it", 0, {}),
    ]
    commit(database, run, posts, models=("m", "m", "n"))

    judge(database, run, replace(RULES, rules=(replace(RULE, every=3 * MINUTE),)))

    (row, *_) = cards(database, run)
    assert row.at == at(6)
    assert [d["text"] for d in row.card["drivers"]] == ["at the start", "within"]
    assert row.card["window"]["documents"] == row.card["examined"] == 2
    assert row.card["models"] == {"m": 1, "n": 1}
    assert row.card["drivers"][1]["title"] == HOSTILE
    assert row.card["drivers"][1]["url"] == "javascript:alert(1)"
    assert row.card["coverage"]["late"] == 1


def test_kinds_and_keys_of_the_rule_choose_the_documents(database, run):
    posts = [
        (4, "news of A", 9000, {"symbols": ("A",)}),
        (4, "comment on A", 9900, {"symbols": ("A",), "kind": "comment"}),
        (5, "news of A and B", 8000, {"symbols": ("A", "B")}),
        (5, "news of B", 7000, {"symbols": ("B",)}),
    ]
    commit(database, run, posts)
    rule = replace(RULE, scope="symbol", kinds=("news",))

    judge(database, run, replace(RULES, rules=(rule,)))

    texts = {key: [d["text"] for d in cards(database, run, key=key)[0].card["drivers"]]
             for key in "AB"}  # fmt: skip
    assert texts == {"A": ["news of A", "news of A and B"], "B": ["news of A and B", "news of B"]}


def test_a_message_has_the_numbers_and_a_few_headlines_made_inert(database, run):
    posts = [(4 + i / 10, f"{i} {HOSTILE}", 9900 - i, {"title": HOSTILE * 9}) for i in range(5)]
    commit(database, run, posts)

    judge(database, run)

    fired = payloads(database)[0]
    assert (fired["state"], fired["card"]["documents"], fired["card"]["mean_score"]) == (
        "firing", 5, -0.9898,
    )  # fmt: skip
    assert (fired["card"]["threshold"], fired["card"]["baseline"]) == (0.6, None)
    assert [d["repeats"] for d in fired["card"]["drivers"]] == [1, 1, 1]
    for driver in fired["card"]["drivers"]:
        assert "evil" in driver["headline"]
        assert not set("@<>*`[]\u202e\x1b\x07") & set(driver["headline"])
        assert len(driver["headline"]) <= 130
    assert "evil" not in fired["summary"]


def test_what_ends_has_no_card_and_what_is_repeated_has_that_of_its_firing(database, run):
    commit_drawn(database, run, "====" + "-" * 12 + "=====")

    judge(database, run)

    told = [(m["notification"], m.get("card")) for m in payloads(database)]
    reasons = [why for why, _ in told]
    assert (reasons[:2], reasons[-1]) == (["first_firing", "repeat"], "resolved")
    assert told[0][1] == told[1][1] is not None
    assert told[-1][1] is None


def test_more_than_a_step_explains_are_left_without_a_card_and_say_so(database, run, monkeypatch):
    monkeypatch.setattr(judging, "chosen", lambda happened: chosen(happened, limit=2))
    rules = tuple(replace(RULE, name=f"r{i}", severity=i) for i in range(1, 5))
    commit_drawn(database, run, "====-----")

    judge(database, run, replace(RULES, rules=rules))

    found = {rule.name: cards(database, run, rule.name)[0] for rule in rules}
    assert {name: row.reason for name, row in found.items()} == {
        "r1": Missing.STEP_LIMIT, "r2": Missing.STEP_LIMIT, "r3": None, "r4": None,
    }  # fmt: skip
    assert [row.card is None for row in found.values()] == [True, True, False, False]


def test_firings_of_one_window_share_one_look_at_it(database, run, monkeypatch):
    looks, real = [], explaining.read_evidence
    monkeypatch.setattr(
        explaining, "read_evidence", lambda *given: looks.append(given[2:]) or real(*given)
    )
    rules = tuple(replace(RULE, name=f"r{i}") for i in range(20))
    commit_drawn(database, run, "====-----")

    judge(database, run, replace(RULES, rules=rules))

    assert (len(looks), total(database, alert_cards)) == (1, 20)


def test_two_alerters_at_once_keep_each_card_once(database, run):
    begin = Barrier(2)

    def work():
        begin.wait()
        judge(database, run)

    commit_drawn(database, run, SCARE)
    with ThreadPoolExecutor(2) as pool:
        for worker in [pool.submit(work) for _ in range(2)]:
            worker.result()

    assert len(cards(database, run)) == total(database, alert_cards) == 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (explaining, "read_evidence"),
        (judging, "write_cards"),
        (alerts.alerter, "explain"),
        (alerts.alerter, "tell_of"),
    ],
)
def test_a_crash_leaves_no_event_without_a_card_and_no_card_without_an_event(
    database, run, monkeypatch, module, name
):
    commit_drawn(database, run, SCARE)
    real = getattr(module, name)

    def dies(*arguments, **options):
        real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, name, dies)
        with pytest.raises(KeyboardInterrupt):
            judge(database, run)
    tables = (alert_cards, alert_events, alert_states, outbox)
    assert [total(database, table) for table in tables] == [0, 0, 0, 0]

    judge(database, run)
    assert [total(database, table) for table in tables] == [2, 4, 0, 4]


def test_cards_change_no_digest(database, run):
    commit_drawn(database, run, SCARE)
    judge(database, run)
    with database.transaction() as connection:
        before = digest(connection, run.id)
        connection.execute(alert_cards.delete())
        assert digest(connection, run.id) == before
