"""Grouping: when a group of alerts is told, and what of it. Pure.

Time is event time. Waits count in whole grid points, rounded down: what one grid point finds is
together already, so the default wait of 30 seconds delays nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.common.reasons import Why
from alerts.rules.matchers import FIELDS, Labelled
from alerts.rules.policies import Grouping
from alerts.rules.ruleset import GRID
from store.tellings import GroupRow

AlertKey = tuple[str, str]
"""Rule name and key."""


@dataclass(frozen=True, slots=True)
class Active:
    """An active state, since when, and how grave it is: two firings in a row are not the same."""

    state: str
    began_at: datetime
    severity: int

    def is_known(self, told: "Active | None") -> bool:
        """Whether receivers know of it, if less grave than it is or not."""
        return told is not None and (told.state, told.began_at) == (self.state, self.began_at)

    def is_news(self, told: "Active | None") -> bool:
        """Whether there is something to tell: it is another than was told, or graver."""
        return told is None or not self.is_known(told) or self.severity > told.severity


@dataclass(frozen=True, slots=True)
class Member:
    """One alert of a group: what is, what its receivers were told, and why it is held back."""

    alert: AlertKey
    current: Active | None
    told: Active | None
    held: Why | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to notify now, why (not), of which alerts, and the group as it is afterwards.

    ``due`` is when to ask again although nothing happens; None: never. A group says all that
    fires again every ``repeat``, whatever it told in between; a repetition of which every alert
    is held back is a decision not to notify with the reason ``REPEAT``.
    """

    notify: bool
    reason: Why
    group: GroupRow
    alerts: tuple[AlertKey, ...] = ()
    due: datetime | None = None


def group_name(alert: Labelled, grouping: Grouping, receivers: Sequence[str]) -> str:
    """The name of the group of an alert: its labels, and the receivers it is told to."""
    labels = {name: getattr(alert, name) for name in FIELDS}
    parts = {label: labels[label] for label in sorted(set(grouping.by))}
    return json.dumps({**parts, "receivers": sorted(receivers)}, ensure_ascii=False)


def decide(
    grouping: Grouping, group: GroupRow, members: Sequence[Member], now: datetime
) -> Decision:
    """What to tell of a group at the grid point ``now``."""
    free = [member for member in members if member.held is None]
    fresh = [m.alert for m in free if m.current is not None and m.current.is_news(m.told)]
    ended = [m.alert for m in free if m.current is None and m.told is not None]
    if fresh or ended:
        return _changed(grouping, group, members, fresh, ended, now)
    group = GroupRow(group.name, None, group.told_at, group.repeat_at)
    return _unchanged(grouping, group, members, now)


def _changed(  # noqa: PLR0913 - the group, and what changed in it
    grouping: Grouping,
    group: GroupRow,
    members: Sequence[Member],
    fresh: list[AlertKey],
    ended: list[AlertKey],
    now: datetime,
) -> Decision:
    known = any(member.told is not None for member in members)
    if known:
        due = now if group.told_at is None else group.told_at + _whole(grouping.interval)
        waits, told = Why.GROUP_INTERVAL, _why_changed(members, fresh)
        waiting = group
    else:
        waiting = GroupRow(group.name, group.waiting_since or now, group.told_at, group.repeat_at)
        due = (waiting.waiting_since or now) + _whole(grouping.wait)
        waits, told = Why.GROUP_WAIT, Why.FIRST_FIRING
    if now < due:
        return Decision(notify=False, reason=waits, group=waiting, due=due)
    again: list[AlertKey] = []
    repeat_at = group.repeat_at if known else None
    if repeat_at is None or repeat_at <= now:
        again = [member.alert for member in _going_on(members) if member.held is None]
        repeat_at = now + _whole(grouping.repeat)
    after = GroupRow(group.name, None, now, repeat_at)
    alerts = (*sorted(fresh), *sorted(ended), *sorted(again))
    return Decision(notify=True, reason=told, group=after, alerts=alerts, due=repeat_at)


def _why_changed(members: Sequence[Member], fresh: Sequence[AlertKey]) -> Why:
    """What is new to receivers who know some of the alerts already."""
    if not fresh:
        return Why.RESOLVED
    known = (
        m.current is not None and m.current.is_known(m.told) for m in members if m.alert in fresh
    )
    return Why.GRAVER if all(known) else Why.GROUP_CHANGED


def _unchanged(
    grouping: Grouping, group: GroupRow, members: Sequence[Member], now: datetime
) -> Decision:
    going_on = _going_on(members)
    if not going_on or group.repeat_at is None:
        return Decision(notify=False, reason=Why.NOTHING_NEW, group=group)
    if now < group.repeat_at:
        return Decision(notify=False, reason=Why.NOTHING_NEW, group=group, due=group.repeat_at)
    repeat_at = now + _whole(grouping.repeat)
    alerts = tuple(sorted(m.alert for m in going_on if m.held is None))
    told_at = now if alerts else group.told_at
    after = GroupRow(group.name, None, told_at, repeat_at)
    return Decision(bool(alerts), Why.REPEAT, after, alerts, repeat_at)


def _going_on(members: Sequence[Member]) -> list[Member]:
    """Those that receivers know of already."""
    return [m for m in members if m.current is not None and not m.current.is_news(m.told)]


def _whole(duration: timedelta) -> timedelta:
    return duration - duration % GRID
