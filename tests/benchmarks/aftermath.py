"""What a year of documents left behind: alerts with cards, messages, dead letters, corrections.

Written by the functions that write it in earnest. Alerts fire at fixed times for keys in turn,
whatever the documents say; their values and cards are what the documents say. Knows no text.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import text

from alerts.cards.card import Card, Window, make_card, oldest_of
from alerts.conditions.lifecycle import State
from alerts.rules.ruleset import Metric, Receiver, RuleSet, ThresholdRule
from alerts.telling.messages import messages_for
from classifier.labels import SENTIMENTS, TOPICS
from ingest.batch import Advance, Checkpoint, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Reason
from store.alert_actions import Action, ActionRow, add_action
from store.alertlog import EventRow, StateRow, append_events, move_cursor, write_states
from store.buckets import Sums
from store.cards import CardRow, NewCard, read_evidence, write_cards
from store.commits import commit_batch
from store.corrections import Correction, add_correction
from store.database import Connection, Database
from store.minutes import read_minutes
from store.notifications import NotificationRow, append_notifications
from store.outbox import DEAD, DELIVERED, PENDING, Attempt, Message, post, record
from store.preparing import prepare_batch
from store.runs import Run
from store.silences import add_silence
from store.tellings import Telling, write_tellings

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_WINDOW = _HOUR
_OPEN = 8
"""The last so many alerts fire still, since some time of the last day."""

_PARTITIONS = tuple(Partition(topic, n) for topic in ("news", "comments") for n in range(6))
_KINDS = ("news", "comment")
_RULES = RuleSet(
    rules=tuple(
        ThresholdRule(
            name=f"{scope}-{severity}",
            metric=Metric.NEGATIVE_SHARE,
            scope=scope,
            threshold=0.3 + 0.05 * severity,
            severity=severity,
            receivers=("console", "risk-desk"),
        )
        for scope in ("topic", "symbol", "source", "all")
        for severity in (3, 6, 9)
    ),
    receivers=(
        Receiver(name="console", type="console"),
        Receiver(name="risk-desk", type="console"),
    ),
)


def add_aftermath(
    database: Database,
    run: Run,
    start: datetime,
    end: datetime,
    *,
    firings: int = 400,
    dead_letters: int = 3000,
    corrections: int = 300,
) -> None:
    """Give the run, whose documents are of [start, end), all that."""
    with database.transaction() as connection:
        commit_batch(connection, run.id, prepare_batch(_turned_away(end, dead_letters)))
        keys = _keys(connection, run.id)
        for number in range(firings):
            fired = _fired_at(number, firings, start, end)
            rule = _RULES.rules[number % len(_RULES.rules)]
            key = keys[rule.scope][number % len(keys[rule.scope])]
            _alert(connection, run, rule, key, fired, end, going_on=number >= firings - _OPEN)
        move_cursor(connection, run.id, end - _MINUTE)
        _act(connection, run, start, end)
        _correct(connection, run.id, corrections)


def _fired_at(number: int, firings: int, start: datetime, end: datetime) -> datetime:
    """The last ones within the last twenty hours, the others evenly over the time before."""
    left = firings - number
    if left <= _OPEN:
        at = end - 20 * _HOUR * left / _OPEN
    else:
        at = start + _WINDOW + (end - start - 24 * _HOUR) * number / firings
    return at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)


def _keys(connection: Connection, run_id: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    statement = text(
        "select distinct scope, key from time_buckets "
        "where run_id = :run_id and width = 'hour' order by scope, key"
    )
    for scope, key in connection.execute(statement, {"run_id": run_id}):
        found.setdefault(scope, []).append(key)
    return found


def _alert(
    connection: Connection,
    run: Run,
    rule: ThresholdRule,
    key: str,
    fired: datetime,
    end: datetime,
    *,
    going_on: bool,
) -> None:
    window = _window(connection, run.id, rule.scope, key, fired)
    states = [State.PENDING, State.FIRING] + ([] if going_on else [State.RESOLVED])
    times = [fired - 5 * _MINUTE, fired, fired + 3 * _HOUR]
    events = [
        _event(rule, key, window.sums, state, at, fired)
        for state, at in zip(states, times, strict=False)
    ]
    numbers = append_events(connection, run.id, events)
    card = _card(connection, run.id, rule, events[1], window)
    write_cards(connection, [NewCard(numbers[1], card.as_dict(), None, oldest_of(card.drivers))])
    if going_on:
        firing = StateRow(rule.name, key, State.FIRING, fired, fired)
        write_states(connection, run.id, [firing], [])
        told = Telling(
            rule.name, key, rule.scope, rule.severity, State.FIRING, fired, numbers[1],
            State.FIRING, fired, fired, changes=(fired,),
        )  # fmt: skip
        write_tellings(connection, run.id, [told], [])
    for number, event in zip(numbers[1:], events[1:], strict=True):
        why = {number: CardRow(number, event.at, card.as_dict(), None)}
        _tell(connection, run, number, event, why if number == numbers[1] else {})


def _window(connection: Connection, run_id: int, scope: str, key: str, end: datetime) -> Window:
    minutes = read_minutes(connection, run_id, scope, key, end - _WINDOW, end)
    columns = (minutes.documents, minutes.negative, minutes.neutral, minutes.positive)
    sums = Sums(*(int(column.sum()) for column in columns), int(minutes.score_sum.sum()))
    return Window(sums, len(minutes.start))


def _event(
    rule: ThresholdRule, key: str, sums: Sums, state: State, at: datetime, fired: datetime
) -> EventRow:
    return EventRow(
        rule=rule.name,
        key=key,
        scope=rule.scope,
        at=at,
        previous=State.PENDING if state is State.FIRING else State.FIRING,
        state=state,
        reason="cleared" if state is State.RESOLVED else "beyond_threshold",
        severity=rule.severity,
        fired_at=None if state is State.PENDING else fired,
        value=sums.negative / sums.documents if sums.documents else None,
        documents=sums.documents,
        window_start=at - _WINDOW,
        window_end=at,
    )


def _card(
    connection: Connection, run_id: int, rule: ThresholdRule, event: EventRow, window: Window
) -> Card:
    span = (event.window_start, event.window_end)
    evidence = read_evidence(connection, run_id, rule.scope, event.key, _KINDS, *span)
    return make_card(event, rule, window, evidence, (), _MINUTE)


def _tell(
    connection: Connection, run: Run, number: int, event: EventRow, cards: dict[int, CardRow]
) -> None:
    """Message both receivers; every seventh is tried twice, and of those some are given up."""
    messages = messages_for(number, event, run.name, _RULES, cards)
    post(connection, messages, event.at)
    record(connection, [a for m in messages for a in _attempts(m, number, event.at)])
    told = NotificationRow(
        event.rule, event.key, event.at, event.state, told=True, reason="first_firing",
        receivers=tuple(m.receiver for m in messages), event_id=number,
    )  # fmt: skip
    append_notifications(connection, run.id, [told])


def _attempts(message: Message, number: int, at: datetime) -> Iterator[Attempt]:
    turn = 0
    if number % 7 == 0 and message.receiver == "risk-desk":
        turn = 1
        yield Attempt(message, 1, PENDING, "timeout", "no answer in 10 s", at, None, at + _MINUTE)
    given_up = turn and number % 21 == 0
    status, reason, code = (DEAD, "rejected", 410) if given_up else (DELIVERED, "accepted", 200)
    yield Attempt(message, 1 + turn, status, reason, "", at + turn * _MINUTE, code)


def _turned_away(end: datetime, count: int) -> ScoredBatch[object]:
    """Dead letters of each reason, and where the partitions stand."""
    reasons = list(Reason)
    letters = [
        DeadLetter(
            Record(_PARTITIONS[n % 12], n * 1000, b'{"id": "%d", "text": ' % n),
            reasons[n * n % len(reasons)],
            "what the record is was not to be read",
        )
        for n in range(count)
    ]
    newest = Checkpoint(1000 * max(1, count), end - _MINUTE)
    return ScoredBatch([], [], letters, [Advance(each, None, newest) for each in _PARTITIONS])


def _act(connection: Connection, run: Run, start: datetime, end: datetime) -> None:
    """A silence a week, the last in force; nobody has acknowledged what fires."""
    begin = start
    while begin < end:
        matchers = {"scope": "symbol"}
        number = add_silence(
            connection, run.id, matchers, begin, begin + 4 * _HOUR, "ann", "earnings day"
        )
        silenced = ActionRow(Action.SILENCE, "ann", "earnings day", silence_id=number)
        add_action(connection, run.id, silenced)
        begin += timedelta(days=7)


def _correct(connection: Connection, run_id: int, count: int) -> None:
    """Corrections of the newest documents."""
    newest = text(
        "select id from documents where run_id = :run_id "
        "order by published_at desc, id limit :count"
    )
    found = connection.scalars(newest, {"run_id": run_id, "count": count}).all()
    for number, document in enumerate(found):
        topic = TOPICS[number % len(TOPICS)] if number % 3 == 0 else None
        sentiment = SENTIMENTS[number % len(SENTIMENTS)]
        add_correction(connection, Correction(run_id, document, topic, sentiment, "ann"))
