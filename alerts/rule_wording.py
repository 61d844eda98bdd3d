"""What is said of rules where they are checked and shown. Pure."""

from datetime import timedelta

from alerts.kinds import AnyRule, CompositeRule, SpikeRule, ThresholdRule, TrendRule


def condition(rule: AnyRule) -> str:
    """When it fires: ``negative share >= 0.6``."""
    match rule:
        case ThresholdRule():
            return f"{_words(rule.metric)} {rule.operator} {rule.threshold:g}"
        case SpikeRule():
            return f"{_words(rule.metric)} above usual, surprise >= {rule.threshold:g}"
        case TrendRule():
            return f"mean score falls by {rule.fall:g} over {rule.windows} windows"
        case CompositeRule():
            return f"{'all' if rule.all_of else 'any'} of {', '.join(rule.members)}"


def length(span: timedelta) -> str:
    """A duration as it is written in a rules file: ``1h30m``."""
    minutes = int(span / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{rest:02}m" if rest else f"{hours}h"


def _words(metric: str) -> str:
    return metric.replace("_", " ")
