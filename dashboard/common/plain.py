"""Text of others, made fit to be seen: feeds, run names, rules and keys are not to be trusted.

What comes out is for elements that show text as it is (``st.text``, tables, charts), never for
Markdown. Knows no Streamlit.
"""

from alerts.common.text import plain

__all__ = ["DASH", "paragraphs", "plain"]

DASH = "\u2013"


def paragraphs(text: str) -> str:
    """``text`` like ``plain``, with its lines kept."""
    lines = (plain(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
