"""A receiver as people write it in a rules file."""

from datetime import timedelta
from typing import Literal

import msgspec

from alerts.common.fields import Identifier

CONSOLE = "console"
"""The receiver that there always is."""


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to tell. ``url`` may hold ``${NAME}``, read from the environment.

    ``secrets`` sign what a webhook gets; with several, all do. ``on_failure`` are the receivers
    that are told when this one cannot be.
    """

    name: Identifier
    type: Literal["console", "webhook", "apprise"]
    url: str | None = None
    secrets: tuple[str, ...] = ()
    template: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    give_up_after: timedelta = timedelta(hours=24)
    on_failure: tuple[str, ...] = (CONSOLE,)
