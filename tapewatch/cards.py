"""Evidence cards as lines on a terminal. Feed text in them is made plain."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.cards.wording import facts
from dashboard.common.plain import plain
from tapewatch import console


def print_card(card: Mapping[str, Any]) -> None:
    """The numbers of a card, and the documents that weighed most."""
    for line in facts(card):
        console.output.print(plain(str(line)))
    console.output.print("Documents, the most negative first (UTC):")
    for driver in card["drivers"]:
        console.output.print(_driver(driver))


def _driver(driver: Mapping[str, Any]) -> str:
    """A document that weighed much, in two lines and one more for its address."""
    at = datetime.fromisoformat(driver["published_at"])
    times = f", {driver['repeats']} times" if driver["repeats"] > 1 else ""
    source, kind, identity = (plain(driver[name]) for name in ("source", "kind", "id"))
    said = ": ".join(plain(driver[name]) for name in ("title", "text") if driver[name])
    lines = [f"{driver['score']:+.2f}  {at:%d %b %H:%M}  {source}, {kind} {identity}{times}", said]
    if driver["url"]:
        lines.append(plain(driver["url"]))
    return "\n       ".join(lines)
