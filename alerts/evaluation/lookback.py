"""What rules look back on: the buckets of a span, read once for each scope and kind of need.

A threshold looks at its window and a little more. A spike looks at the same windows of many earlier
days, and at those days as a whole: minutes for the one, hours for the other, so that a step of
one minute does not read weeks of minutes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from alerts.cards.explaining import count_texts
from alerts.conditions.finders import NOTHING_PAST, Past, Stretch
from alerts.conditions.windows import Series, combined, floor, next_point, series_by_key
from alerts.rules.kinds import AnyRule, SpikeRule
from alerts.rules.overrides import variants
from alerts.rules.rule import DAY
from store.buckets import MinuteRow, read_scope, read_spans, span
from store.database import Connection

Keyed = Mapping[str, Series]
_HOUR = timedelta(hours=1)

Span = tuple[datetime, datetime]


def read_series(
    connection: Connection, run_id: int, rules: Iterable[AnyRule], judged: Stretch
) -> Iterator[tuple[AnyRule, Keyed, Past]]:
    """Each rule with its series by key and what else it looks back on."""
    plain: dict[str, list[AnyRule]] = defaultdict(list)
    spikes: dict[str, list[SpikeRule]] = defaultdict(list)
    for rule in rules:
        if isinstance(rule, SpikeRule):
            spikes[rule.scope].append(rule)
        else:
            plain[rule.scope].append(rule)
    for scope, of_scope in plain.items():
        rows = _read(connection, run_id, scope, of_scope, judged)
        known = _Known(rows)
        for rule in of_scope:
            yield rule, known.of(rule), NOTHING_PAST
    extent = span(connection, run_id) if spikes else None
    texts = partial(count_texts, connection, run_id)
    for scope, seasonal in spikes.items():
        minutes, hours = _read_earlier(connection, run_id, scope, seasonal, judged)
        for spike in seasonal:
            by_hour = hours.of(spike)
            yield (
                spike,
                minutes.of(spike),
                Past(extent and extent[0], _look_up(by_hour), texts=texts),
            )


def reach(rule: AnyRule) -> timedelta:
    """How far back it looks at single minutes, for any of its keys."""
    return max(variant.reach for variant in variants(rule))


def spellings(rules: Iterable[AnyRule]) -> set[str]:
    """Every key that the rules name, and its aliases."""
    return {one for rule in rules for key in rule.keys for one in rule.spellings(key)}


def of_rule(series: Keyed, rule: AnyRule) -> Keyed:
    """The series by the rule's own keys: what is spelled otherwise counts as the key."""
    if not rule.aliases:
        return series
    others = {spelling for names in rule.aliases.values() for spelling in names}
    own = {key: of_key for key, of_key in series.items() if key not in others}
    for key, names in rule.aliases.items():
        parts = [series[one] for one in (key, *names) if one in series]
        if parts:
            own[key] = combined(parts)
    return own


class _Known:
    """Rows by key, for each choice of kinds."""

    def __init__(self, rows: Sequence[MinuteRow]) -> None:
        self._rows = rows
        self._by_kinds: dict[tuple[str, ...], Keyed] = {}

    def of(self, rule: AnyRule) -> Keyed:
        if rule.kinds not in self._by_kinds:
            self._by_kinds[rule.kinds] = series_by_key(self._rows, rule.kinds)
        return of_rule(self._by_kinds[rule.kinds], rule)


def _look_up(series: Keyed) -> Callable[[str], Series | None]:
    return lambda key: series.get(key, Series())


def _read(
    connection: Connection,
    run_id: int,
    scope: str,
    rules: Sequence[AnyRule],
    judged: Stretch,
) -> Sequence[MinuteRow]:
    every = _farthest(rule for rule in rules if not rule.keys)
    named = _farthest(rule for rule in rules if rule.keys)
    after = judged.after
    return read_scope(
        connection,
        run_id,
        scope,
        judged.until,
        None if every is None else after - every,
        None if named is None else after - named,
        spellings(rules),
    )


def _farthest(rules: Iterable[AnyRule]) -> timedelta | None:
    return max((reach(rule) for rule in rules), default=None)


def _read_earlier(
    connection: Connection,
    run_id: int,
    scope: str,
    rules: Sequence[SpikeRule],
    judged: Stretch,
) -> tuple[_Known, _Known]:
    """Minutes of the windows of all earlier days, and hours of the days themselves.

    Where rules agree on the one window that they judge, each earlier one is a sum already.
    """
    keys = None if any(not rule.keys for rule in rules) else spellings(rules)

    def read(width: str, spans: list[Span], *, summed: bool = False) -> list[MinuteRow]:
        return read_spans(connection, run_id, width, scope, spans, keys, summed=summed)

    recent = (judged.after - max(reach(rule) for rule in rules), judged.until)
    farthest = max(rule.history for rule in rules)
    if (window := _only_window(rules, judged)) is not None and recent[0] > window[1] - DAY:
        windows = [_earlier(window, days) for days in range(1, farthest // DAY + 1)]
        day = floor(window[0], _HOUR)
        days = [_earlier((day - DAY, day), days) for days in range(farthest // DAY + 1)]
        minutes = _in_order(read("minute", windows, summed=True), read("minute", [recent]))
        return _Known(minutes), _Known(read("hour", days, summed=True))
    spans = [recent, *(one for rule in rules for one in _earlier_windows(rule, judged))]
    longest = max(rule.baseline_reach for rule in rules)
    hours = [(floor(judged.after - longest, _HOUR) - _HOUR, judged.until)]
    return _Known(read("minute", merged(spans))), _Known(read("hour", hours))


def _only_window(rules: Iterable[SpikeRule], judged: Stretch) -> Span | None:
    """The window that all rules judge; None where there are several."""
    windows = {(rule.window, rule.every) for rule in rules}
    if len(windows) != 1:
        return None
    length, every = windows.pop()
    end = next_point(judged.after, every)
    return (end - length, end) if end + every > judged.until else None


def _earlier(span: Span, days: int) -> Span:
    return span[0] - days * DAY, span[1] - days * DAY


def _earlier_windows(rule: SpikeRule, judged: Stretch) -> Iterator[Span]:
    for days in range(1, rule.history // DAY + 1):
        yield _earlier((judged.after - rule.window, judged.until), days)


def _in_order(earlier: Sequence[MinuteRow], later: Sequence[MinuteRow]) -> list[MinuteRow]:
    """The rows of each key after each other; all of the earlier ones lie before the later ones."""
    rows: dict[str, list[MinuteRow]] = defaultdict(list)
    for row in (*earlier, *later):
        rows[row[0]].append(row)
    return [row for of_key in rows.values() for row in of_key]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same moments in as few spans as can be, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
