"""The text of a stored document as the model reads it, and when two texts are the same.

The rule of the first is ``Document.content``'s; a test holds them together.
"""

from sqlalchemy import ColumnElement, func

from store.schema import documents


def content() -> ColumnElement[str]:
    """The title on a line of its own where there is one, then the text."""
    title = func.coalesce(func.nullif(documents.c.title, "") + "\n", "")
    return (title + documents.c.text).label("content")


def content_sql(table: str) -> str:
    """The same, for a query that is written out and calls the documents ``table``."""
    return f"(coalesce(nullif({table}.title, '') || E'\\n', '') || {table}.text)"


def likeness_sql(content: str) -> str:
    """A hash that two texts share if they differ in nothing but letter case and white space."""
    return rf"md5(translate(lower({content}), E' \t\n\r\f\x0b\u00a0', ''))"
