"""What alerts and feeds are said to be, in the reader's language: codes of ours, and phrases.

What is stored stays as it is: a code, or English. What is not among ours is of others' making and
is shown plain.
"""

from datetime import datetime

from alerts.common.phrases import Code, Phrase, recognized
from alerts.rules import wording as rule_wording
from alerts.telling import flapping, health
from dashboard.common.clock import dated
from dashboard.common.plain import plain
from dashboard.common.words import later, say

# fmt: off
CODES = {code.replace(" ", "_"): code for code in (
    # states
    later("inactive"), later("pending"), later("firing"), later("recovering"), later("resolved"),
    later("no data"), later("error"), later("current"), later("stalled"), later("lagging"),
    # why a state changed
    later("within threshold"), later("beyond threshold"), later("held for duration"),
    later("waiting for duration"), later("cleared"), later("not clear yet"), later("kept firing"),
    later("too few documents"), later("learning baseline"), later("documents awaited"),
    later("no documents"), later("documents are back"), later("evaluation failed"),
    later("judged again"), later("rule removed"), later("checkpoints move"),
    later("nothing expected"), later("no document yet"), later("checkpoints do not move"),
    later("watermark behind"), later("watermark catches up"),
    # why it was told, or held back
    later("first firing"), later("group changed"), later("graver"), later("repeat"),
    later("flapping"),
    later("group wait"), later("group interval"), later("acknowledged"), later("silenced"),
    later("inhibited"), later("never told"), later("nothing new"), later("replay not notified"),
    later("pipeline changed"), later("no receivers"), later("maintenance"), later("step limit"),
    # what became of a message
    later("delivered"), later("dead"), later("suppressed"), later("failed"), later("accepted"),
    later("timeout"), later("unreachable"), later("throttled"), later("unavailable"),
    later("server error"), later("not now"), later("rejected"), later("redirected"),
    later("gone"), later("refused"), later("internal"), later("failing"),
    later("receiver unknown"), later("receiver disabled"),
    # what was done
    later("acknowledge"), later("unacknowledge"), later("comment"), later("silence"),
    later("expire"),
    # what is judged
    later("negative share"), later("negative count"), later("mean score"), later("documents"),
    later("none"), later("all"), later("topic"), later("symbol"), later("source"), later("news"),
    # why a record was turned away
    later("not utf8"), later("not json"), later("too large"), later("empty text"),
    later("missing text"), later("missing date"), later("bad date"), later("future date"),
    later("bad field"), later("tombstone"),
)}
# fmt: on

STORED = (*rule_wording.CONDITIONS, *health.DETAILS, flapping.DETAIL)
"""Texts that are stored in English with their values in them."""


def worded(code: str | None) -> str:
    """A reason, a state or an action of ours, in words; the name behind a colon is of others."""
    known, _, name = (code or "").partition(":")
    if known not in CODES:
        return plain((code or "").replace("_", " "), 60)
    return ": ".join(filter(None, (say(CODES[known]), plain(name, 60))))


def said(found: Phrase) -> str:
    """A phrase with its values. Names among these come from feeds: show it plain."""
    return say(found.text, **{name: _value(value) for name, value in found.values.items()})


def explained(detail: str | None) -> str:
    """The detail of an event or a notification: a code, a text of ours, or what an error said."""
    if (detail or "") in CODES:
        return worded(detail)
    found = recognized(detail or "", STORED)
    return plain(said(found) if found else detail or "", 300)


def _value(value: object) -> object:
    match value:
        case Phrase():
            return said(value)
        case Code():
            return worded(value.name)
        case datetime():
            return dated(value)
    return value
