"""A rule in a few words, as it is understood: for the command that checks and for pages. Pure."""

from datetime import timedelta

from alerts.rules import Rule


def condition(rule: Rule) -> str:
    """When it fires: ``negative share >= 0.6``."""
    return f"{rule.metric.value.replace('_', ' ')} {rule.operator} {rule.threshold:g}"


def length(span: timedelta) -> str:
    """A duration as it is written in a rules file: ``1h30m``."""
    minutes = int(span / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{rest:02}m" if rest else f"{hours}h"
