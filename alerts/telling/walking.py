"""Telling: walks the grid from one decision about groups to the next. Pure.

Events say what became of alerts; a ``Book`` holds what receivers know. Out of both, silences and
acknowledgements come notices: what is told now, and what is held back and why. Nothing here
changes an event, and nothing depends on how a span is cut into steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import heappop, heappush

from alerts.common.phrases import phrase
from alerts.common.reasons import Why
from alerts.conditions.lifecycle import State
from alerts.conditions.windows import floor
from alerts.rules.kinds import AnyRule
from alerts.rules.routing import receivers_of
from alerts.rules.rule import GRID
from alerts.rules.ruleset import RuleSet
from alerts.telling import flapping, grouping, inhibition
from alerts.telling.book import ACTIVE, Book, Happened, Notice, Orders, active, as_told, audiences
from alerts.telling.grouping import AlertKey, Decision, Member, group_name
from alerts.telling.silences import boundaries, silencing
from store.tellings import GroupRow, Telling


def tell(  # noqa: PLR0913 - a span of one run
    rules: RuleSet,
    book: Book,
    happened: Sequence[Happened],
    orders: Orders,
    after: datetime,
    until: datetime,
    *,
    notify: bool = True,
) -> list[Notice]:
    """Every notice of the grid points in [after, until]; ``book`` is brought up to ``until``.

    ``after`` was walked before: looking at it again tells only what operators changed since. With
    ``notify`` False nobody hears of it, and each telling says so.
    """
    return _Walk(rules, book, orders, notify=notify).go(happened, after, until)


class _Walk:
    def __init__(self, rules: RuleSet, book: Book, orders: Orders, *, notify: bool) -> None:
        self._rules = rules
        self._by_name: Mapping[str, AnyRule] = {rule.name: rule for rule in rules.rules}
        self._book = book
        self._orders = orders
        self._notify = notify
        self._notices: list[Notice] = []
        self._due: list[tuple[datetime, str]] = []
        self._asked: set[tuple[datetime, str]] = set()
        self._began_flapping: list[tuple[AlertKey, str]] = []
        self._members: dict[str, set[AlertKey]] = {}
        self._group_of: dict[AlertKey, str] = {}
        self._sources: inhibition.Sources = ()
        self._stale = True

    def go(self, happened: Sequence[Happened], after: datetime, until: datetime) -> list[Notice]:
        for alert in list(self._book.tellings):
            self._join(alert, after)
        if self._notify:
            self._forget_quiet_tellings()
        for name in self._book.groups.keys() - self._members.keys():
            del self._book.groups[name]
        self._decide_all(self._members, after)
        queue = sorted(happened, key=lambda h: h.event.at)
        turns = boundaries(self._orders.silences, after, until)
        position = 0
        while True:
            following = [queue[position].event.at] if position < len(queue) else []
            following += turns[:1]
            following += [self._due[0][0]] if self._due else []
            now = min(following, default=None)
            if now is None or now > until:
                break
            first = position
            while position < len(queue) and queue[position].event.at == now:
                position += 1
            self._point(now, queue[first:position], everything=turns[:1] == [now])
            turns = turns[1:] if turns[:1] == [now] else turns
        self._tidy(until)
        return self._notices

    def _point(self, now: datetime, happened: Sequence[Happened], *, everything: bool) -> None:
        touched = {name for each in happened if (name := self._apply(each, now))}
        while self._due and self._due[0][0] <= now:
            turn = heappop(self._due)
            self._asked.discard(turn)
            touched.add(turn[1])
        self._tell_flapping(now)
        everything = everything or (bool(happened) and bool(self._rules.inhibit))
        self._decide_all(self._members if everything else touched, now)

    def _join(self, alert: AlertKey, now: datetime) -> str | None:
        """Put an alert into its group; None where its rule is gone, and with it its receivers."""
        rule = self._by_name.get(alert[0])
        telling = self._book.tellings[alert]
        if rule is None:
            self._drop(telling, now)
            return None
        told = receivers_of(telling, rule.at(alert[1]).receivers, self._rules.routes)
        name = group_name(telling, self._rules.grouping, told)
        before = self._group_of.get(alert)
        if name != before:
            self._leave(alert, before)
            self._group_of[alert] = name
            self._members.setdefault(name, set()).add(alert)
            self._watch_flapping(telling, name)
        return name

    def _leave(self, alert: AlertKey, name: str | None) -> None:
        """Take an alert out of its group: what it is told by has changed."""
        if name is not None:
            self._members[name].discard(alert)
            if not self._members[name]:
                del self._members[name]
                self._book.groups.pop(name, None)

    def _drop(self, telling: Telling, now: datetime) -> None:
        if telling.told_state is not None or telling.state is not None:
            self._hold(now, Why.RULE_REMOVED, telling)
        del self._book.tellings[telling.rule, telling.key]

    def _apply(self, happened: Happened, now: datetime) -> str | None:
        """Enter an event; the group it touches."""
        event, alert = happened.event, (happened.event.rule, happened.event.key)
        before = self._book.tellings.get(alert)
        state = ACTIVE.get(State(event.state))
        if before is None and state is None:
            return None
        known = before or Telling(event.rule, event.key, event.scope, event.severity)
        if state == known.state and (state is None or event.severity == known.severity):
            return None
        self._stale = True
        ended, begun = state is None, known.state is None
        if ended and known.told_state is None and not known.flapping:
            self._hold(now, Why.NEVER_TOLD, known, self._group_of.get(alert))
        self._book.tellings[alert] = replace(
            known,
            severity=known.severity if ended else event.severity,
            state=state,
            began_at=(event.at if begun else known.began_at) if not ended else None,
            event_id=happened.id,
        )
        name = self._join(alert, now)
        if name is not None and ended != begun:
            self._count_change(alert, name, now)
        return name

    def _count_change(self, alert: AlertKey, name: str, now: datetime) -> None:
        policy, telling = self._rules.flapping, self._book.tellings[alert]
        changes = flapping.recorded(telling.changes, now, policy)
        begins = not telling.flapping and flapping.is_flapping(changes, policy)
        telling = replace(telling, changes=changes, flapping=telling.flapping or begins)
        self._book.tellings[alert] = telling
        self._watch_flapping(telling, name)
        if begins:
            self._began_flapping.append((alert, name))

    def _tell_flapping(self, now: datetime) -> None:
        """Say once of an alert that it flaps, unless nothing is to be told of it anyway."""
        self._refresh_sources()
        policy = self._rules.flapping
        detail = str(phrase(flapping.DETAIL, changes=policy.changes, span=policy.span))
        for alert, name in self._began_flapping:
            telling = self._book.tellings[alert]
            why = self._held(replace(telling, flapping=False), now)
            if why is None:
                self._notify_of([telling], name, Why.FLAPPING, now, detail)
            else:
                self._hold(now, why, telling, name)
        self._began_flapping.clear()

    def _watch_flapping(self, telling: Telling, name: str) -> None:
        steady = flapping.steady_at(telling.changes, self._rules.flapping)
        if telling.flapping and steady is not None:
            on_grid = floor(steady, GRID)
            self._ask_at(on_grid if on_grid == steady else on_grid + GRID, name)

    def _ask_at(self, due: datetime, name: str) -> None:
        if (due, name) not in self._asked:
            self._asked.add((due, name))
            heappush(self._due, (due, name))

    def _forget_quiet_tellings(self) -> None:
        """What only counted as told, while nobody was notified, is still to be told."""
        for alert, telling in self._book.tellings.items():
            if telling.quiet:
                self._book.tellings[alert] = replace(
                    telling,
                    told_state=None,
                    told_began_at=None,
                    told_at=None,
                    told_severity=None,
                    told_to=(),
                    quiet=False,
                )

    def _refresh_sources(self) -> None:
        if self._stale and self._rules.inhibit:
            firing = (t for t in self._book.tellings.values() if t.state == State.FIRING)
            self._sources = inhibition.sources(self._rules.inhibit, firing)
        self._stale = False

    def _decide_all(self, names: Iterable[str], now: datetime) -> None:
        self._refresh_sources()
        for name in sorted(names):
            self._decide(name, now)

    def _decide(self, name: str, now: datetime) -> None:
        members = [self._member(alert, now) for alert in sorted(self._members.get(name, ()))]
        if not members:
            return
        group = self._book.groups.get(name, GroupRow(name))
        decision = grouping.decide(self._rules.grouping, group, members, now)
        if decision.group == GroupRow(name):
            self._book.groups.pop(name, None)
        else:
            self._book.groups[name] = decision.group
        if decision.due is not None and decision.due > now:
            self._ask_at(decision.due, name)
        self._carry_out(decision, members, name, now)

    def _member(self, alert: AlertKey, now: datetime) -> Member:
        telling = self._book.tellings[alert]
        if telling.flapping:
            steady = flapping.steady_at(telling.changes, self._rules.flapping)
            telling = replace(telling, flapping=steady is not None and now < steady)
            self._book.tellings[alert] = telling
        return Member(alert, active(telling), as_told(telling), self._held(telling, now))

    def _held(self, telling: Telling, now: datetime) -> Why | None:
        """Why nothing is to be told of an alert; None: nothing speaks against it."""
        if telling.flapping:
            return Why.FLAPPING
        if silencing(self._orders.silences, telling, now) is not None:
            return Why.SILENCED
        if self._sources and inhibition.is_inhibited(self._rules.inhibit, self._sources, telling):
            return Why.INHIBITED
        episode = (telling.rule, telling.key, telling.began_at)
        return Why.ACKNOWLEDGED if episode in self._orders.acknowledged else None

    def _carry_out(
        self, decision: Decision, members: Sequence[Member], name: str, now: datetime
    ) -> None:
        if decision.notify:
            told = [self._book.tellings[alert] for alert in decision.alerts]
            self._notify_of(told, name, decision.reason, now)
        waits = decision.reason if decision.reason in _WAITS else None
        repeating = decision.reason is Why.REPEAT
        for member in members:
            if member.alert not in decision.alerts:
                self._note_held(member, waits, name, now, repeating=repeating)

    def _note_held(
        self, member: Member, waits: Why | None, name: str, now: datetime, *, repeating: bool
    ) -> None:
        """Log why an alert is held back, once for each reason, and for each repetition."""
        telling = self._book.tellings[member.alert]
        current, told = member.current, member.told
        news = told is not None if current is None else current.is_news(told)
        concerned = news or current is not None
        why = (member.held or (waits if news else None)) if concerned else None
        if why is not None and (why != telling.held or (repeating and not news)):
            self._hold(now, why, telling, name)
        if telling.held != why:
            self._book.tellings[member.alert] = replace(telling, held=why)

    def _notify_of(
        self,
        told: Sequence[Telling],
        name: str,
        why: Why,
        now: datetime,
        detail: str | None = None,
    ) -> None:
        rule = self._by_name[told[0].rule].at(told[0].key)
        reason = why if self._notify else Why.REPLAY_NOT_NOTIFIED
        detail = detail if self._notify else str(why)
        receivers = tuple(receivers_of(told[0], rule.receivers, self._rules.routes))
        for some, to in audiences(told, receivers, self._rules):
            self._notices.append(Notice(now, self._notify, reason, some, name, to, detail))
        for telling in told:
            ended = telling.state is None
            everybody = dict.fromkeys((*telling.told_to, *receivers))
            self._book.tellings[telling.rule, telling.key] = replace(
                self._book.tellings[telling.rule, telling.key],
                told_state=telling.state,
                told_began_at=telling.began_at,
                told_at=now,
                told_severity=None if ended else telling.severity,
                told_to=() if ended else tuple(everybody),
                quiet=not self._notify,
                held=None,
            )

    def _hold(self, now: datetime, why: Why, telling: Telling, name: str | None = None) -> None:
        self._notices.append(Notice(now, told=False, reason=why, alerts=(telling,), group=name))

    def _tidy(self, until: datetime) -> None:
        """Forget what is calm, known to be calm, and long unchanged."""
        for alert, telling in list(self._book.tellings.items()):
            calm = telling.state is None and telling.told_state is None
            recent = flapping.is_recent(telling.changes, until, self._rules.flapping)
            if calm and not telling.flapping and not recent:
                del self._book.tellings[alert]


_WAITS = {Why.GROUP_WAIT, Why.GROUP_INTERVAL}
