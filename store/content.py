"""The text of a stored document as the model reads it; the rule is ``Document.content``'s.

A test holds the two together.
"""

from sqlalchemy import ColumnElement, func

from store.schema import documents


def content() -> ColumnElement[str]:
    """The title on a line of its own where there is one, then the text."""
    title = func.coalesce(func.nullif(documents.c.title, "") + "\n", "")
    return (title + documents.c.text).label("content")
