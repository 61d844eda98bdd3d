"""What changed, said by a screen reader as soon as it is done speaking: one polite live region.

The region stays while the page is drawn anew; the same text is not said again. Texts go into it as
text and are never read as HTML.
"""

from collections.abc import Sequence

import streamlit as st

from dashboard.common.plain import plain
from dashboard.common.telling import NAMED
from dashboard.common.words import say, say_count
from dashboard.now.firing import subject_of
from store.alertlog import Alert

_REGION = """
export default function ({ data, parentElement }) {
  const region = parentElement.querySelector("[role=status]");
  if (region.textContent !== data) region.textContent = data;
}
"""

_announcer = st.components.v2.component(
    "tapewatch_announcer",
    html='<div role="status" aria-live="polite"></div>',
    js=_REGION,
    isolate_styles=False,
)


def announce(text: str) -> None:
    """Have ``text`` be said, where it is another than before; once a page."""
    with st.container(key="announced"):
        _announcer(key="announcer", data=text)


def tell_firing(firing: Sequence[Alert]) -> str:
    """How many alerts fire, and which, the gravest first: the same while nothing happens."""
    if not firing:
        return say("No alert is firing.")
    gravest = sorted(firing, key=lambda alert: (-alert.severity, alert.rule, alert.key))[:NAMED]
    names = [f"{subject_of(alert).label} · {plain(alert.rule, 80)}" for alert in gravest]
    return say_count(
        "{count} alert is firing: {names}",
        "{count} alerts are firing: {names}",
        len(firing),
        names="; ".join(names),
    )
