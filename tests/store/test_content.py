from datetime import UTC, datetime

import pytest
from sqlalchemy import Text as TextType
from sqlalchemy import column, literal_column, select, values

from ingest.document import Document
from store.content import content_sql, likeness_sql


@pytest.mark.parametrize("title", [None, "", "T", "two\nlines"])
@pytest.mark.parametrize("text", ["", "x", "a\n\nb"])
def test_a_written_query_reads_the_text_as_the_model_does(database, title, text):
    columns = (column("title", TextType), column("text", TextType))
    row = values(*columns, name="d").data([(title, text)])
    with database.transaction() as connection:
        found = connection.scalar(select(literal_column(content_sql("d"))).select_from(row))

    document = Document(
        id="1", source="s", kind="news", published_at=datetime.now(UTC), text=text, title=title
    )
    assert found == document.content


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("Banks fall", True), ("BANKS FALL", True), (" Banks\tfall\r\n", True),
        ("Banks\x0b\x0c\u00a0fall", True), ("Banksfall", True), ("Banks fall.", False),
        ("Banks fell", False), ("Bnks fall", False), ("Bansfall", False), ("", False),
    ],
)  # fmt: skip
def test_texts_are_the_same_but_for_case_and_white_space(database, other, same):
    rows = values(column("a", TextType), column("b", TextType), name="d").data(
        [("Banks fall", other)]
    )
    alike = literal_column(f"{likeness_sql('a')} = {likeness_sql('b')}")
    with database.transaction() as connection:
        assert connection.scalar(select(alike).select_from(rows)) is same
