"""What is said of rules where they are checked and shown. Pure."""

from datetime import timedelta


def length(span: timedelta) -> str:
    """A duration as it is written in a rules file: ``1h30m``."""
    minutes = int(span / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{rest:02}m" if rest else f"{hours}h"
