"""Whether a key's documents stay away: silence is not calm. Pure.

Knows event time only; that a worker stands still is for ``alerts.telling.health``.
"""

from datetime import datetime

from alerts.conditions.decisions import Coverage
from alerts.conditions.lifecycle import Standing, State
from alerts.conditions.windows import MINUTE, Series
from alerts.rules.rule import NoData, Rule


def coverage(rule: Rule, series: Series, standing: Standing | None, now: datetime) -> Coverage:
    """What the absence of documents before ``now`` means for a key whose minutes are ``series``.

    Silence counts from the end of the last minute with documents. A key that nobody named is
    missed only if the window that ended with its last document held enough of them.
    """
    policy = rule.on_silence
    if policy is NoData.OK:
        return Coverage.USUAL
    last = series.last_minute(now)
    empty = last is None or last < now - rule.window
    if policy is NoData.KEEP:
        return Coverage.AWAITED if empty else Coverage.USUAL
    missing = standing is not None and standing.state is State.NO_DATA
    if last is None:
        return Coverage.SILENT if missing else Coverage.USUAL
    if not (missing or _is_expected(rule, series, last)):
        return Coverage.USUAL
    if now - (last + MINUTE) >= rule.silence:
        return Coverage.SILENT
    return Coverage.AWAITED if empty else Coverage.USUAL


def silent_from(rule: Rule, series: Series, now: datetime) -> datetime | None:
    """From when on a calm key without a document after those before ``now`` has no data."""
    if rule.on_silence is not NoData.ALERT:
        return None
    last = series.last_minute(now)
    if last is None or not _is_expected(rule, series, last):
        return None
    return max(now, last + MINUTE + rule.silence)


def _is_expected(rule: Rule, series: Series, last: datetime) -> bool:
    """Whether documents should come after the minute ``last``, which held some."""
    if rule.expects:
        return True
    held = series.window(last + MINUTE - rule.window, last + MINUTE).documents
    return held >= max(1, rule.min_documents)
