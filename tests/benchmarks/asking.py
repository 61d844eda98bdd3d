"""What a part of the program asks of the database, and how long each answer takes to come.

Timed in the client: from sending the statement until its rows are there. Knows no dashboard.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import event

import store
from store.database import Database

_STORE = str(Path(store.__file__).parent)


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, the function of the store that asked it, and how long the answer took."""

    statement: str
    asker: str
    milliseconds: float


@contextmanager
def asked_by(database: Database) -> Iterator[list[Question]]:
    """All that the block asks of the database, in any thread; transactions themselves not."""
    questions: list[Question] = []

    def begin(
        _connection: Any, _cursor: Any, _statement: str, _p: Any, context: Any, *_: Any
    ) -> None:
        context.asked_at = time.perf_counter()

    def end(_connection: Any, _cursor: Any, statement: str, _p: Any, context: Any, *_: Any) -> None:
        took = 1000 * (time.perf_counter() - context.asked_at)
        questions.append(Question(statement, _asker(), took))

    listeners = {"before_cursor_execute": begin, "after_cursor_execute": end}
    engines = (database.engine, database.reader)
    for engine, (name, listener) in product(engines, listeners.items()):
        event.listen(engine, name, listener)
    try:
        yield questions
    finally:
        for engine, (name, listener) in product(engines, listeners.items()):
            event.remove(engine, name, listener)


def _asker() -> str:
    """The function of the store that is asking, by module and name."""
    frame, name = sys._getframe(), "?"
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_STORE):
            name = f"{Path(file).stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return name
