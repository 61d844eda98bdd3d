"""Notifying: what a step of the alerter has to tell, from the store and back into it.

Everything is written in the transaction of the events: who is told and who is not follows from
what is committed, and a crash takes back all of it or nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from alerts.rules.ruleset import RuleSet
from alerts.telling.book import Book, Happened, Notice, Orders, events_of
from alerts.telling.messages import explained, messages_of
from alerts.telling.walking import tell
from store import outbox
from store.alert_actions import read_acknowledged
from store.alertlog import EventRow, read_events
from store.cards import read_cards
from store.database import Connection
from store.notifications import NotificationRow, append_notifications
from store.runs import Run
from store.silences import read_silences
from store.tellings import (
    read_groups,
    read_tellings,
    write_groups,
    write_tellings,
)


def tell_of(  # noqa: PLR0913 - a span of one run
    connection: Connection,
    run: Run,
    rules: RuleSet,
    happened: Sequence[tuple[int, EventRow]],
    after: datetime,
    until: datetime,
    *,
    notify: bool,
) -> None:
    """Tell what is to be told of the grid points up to ``until``, and log it and what is not."""
    before = _read_book(connection, run.id)
    book = before.copy()
    orders = Orders(read_silences(connection, run.id, after), read_acknowledged(connection, run.id))
    entered = [Happened(number, event) for number, event in happened]
    notices = tell(rules, book, entered, orders, after, until, notify=notify)
    _write_book(connection, run.id, before, book)
    append_notifications(connection, run.id, [row for n in notices for row in _rows(n)])
    told = [notice for notice in notices if notice.told]
    known = dict(happened)
    known |= read_events(connection, events_of(told) - known.keys())
    cards = read_cards(connection, {number for notice in told for number in explained(notice)})
    messages = [message for n in told for message in messages_of(n, known, run.name, rules, cards)]
    outbox.post(connection, messages)


def _read_book(connection: Connection, run_id: int) -> Book:
    return Book(
        {(t.rule, t.key): t for t in read_tellings(connection, run_id)},
        {group.name: group for group in read_groups(connection, run_id)},
    )


def _write_book(connection: Connection, run_id: int, before: Book, after: Book) -> None:
    tellings = [t for alert, t in after.tellings.items() if before.tellings.get(alert) != t]
    gone = before.tellings.keys() - after.tellings.keys()
    write_tellings(connection, run_id, tellings, gone)
    groups = [group for name, group in after.groups.items() if before.groups.get(name) != group]
    write_groups(connection, run_id, groups, before.groups.keys() - after.groups.keys())


def _rows(notice: Notice) -> list[NotificationRow]:
    return [
        NotificationRow(
            rule=telling.rule,
            key=telling.key,
            at=notice.at,
            state=telling.state,
            told=notice.told,
            reason=notice.reason,
            detail=notice.detail,
            group_name=notice.group,
            receivers=notice.receivers,
            event_id=telling.event_id,
        )
        for telling in notice.alerts
    ]
