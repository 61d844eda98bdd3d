"""A database that knows two models, and a run that is alone in it."""

from collections.abc import Iterator

import pytest
from support.alerting import open_run

from classifier.labels import Labels
from store import runs
from store.commits import register_model
from store.database import Database
from store.runs import Run


@pytest.fixture(scope="module")
def database(postgres) -> Iterator[Database]:
    """For the tests of one module."""
    with postgres.database() as url:
        opened = Database(url)
        opened.migrate()
        with opened.transaction() as connection:
            for model in ("m", "n"):
                register_model(connection, model, Labels(("Macro",)))
        yield opened
        opened.close()


@pytest.fixture
def run(database) -> Iterator[Run]:
    """The live run; at the end every run goes."""
    yield open_run(database, "live")
    with database.transaction() as connection:
        for used in runs.list_runs(connection):
            runs.delete_run(connection, used.name)
