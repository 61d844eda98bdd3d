"""What is said of rules where they are checked and shown. Pure."""

from datetime import timedelta

from alerts.common.phrases import Code, Phrase
from alerts.rules.kinds import AnyRule, CompositeRule, SpikeRule, ThresholdRule, TrendRule

THRESHOLD = "{metric} {operator} {threshold}"
SPIKE = "{metric} above usual, surprise >= {threshold}"
TREND = "mean score falls by {fall} over {windows} windows"
ALL_OF, ANY_OF = "all of {members}", "any of {members}"
CONDITIONS = (SPIKE, TREND, ALL_OF, ANY_OF)
"""Those that hold words; a card holds the condition as a text."""


def condition(rule: AnyRule) -> Phrase:
    """When it fires: ``negative share >= 0.6``."""
    match rule:
        case ThresholdRule():
            limit = f"{rule.threshold:g}"
            metric = Code(rule.metric)
            values = {"metric": metric, "operator": rule.operator, "threshold": limit}
            return Phrase(THRESHOLD, values)
        case SpikeRule():
            return Phrase(SPIKE, {"metric": Code(rule.metric), "threshold": f"{rule.threshold:g}"})
        case TrendRule():
            return Phrase(TREND, {"fall": f"{rule.fall:g}", "windows": rule.windows})
        case CompositeRule():
            members = ", ".join(rule.members)
            return Phrase(ALL_OF if rule.all_of else ANY_OF, {"members": members})


def length(span: timedelta) -> str:
    """A duration as it is written in a rules file: ``1h30m``."""
    minutes = int(span / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{rest:02}m" if rest else f"{hours}h"
