"""What people do from the dashboard: each action checks who it is, and is logged as theirs.

The commands do the same by the same functions. ``said`` is the name that somebody has typed: it
counts only where nobody signs in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from alerts import actions
from alerts.rules.matchers import check_matchers
from dashboard.access.roles import Deed, User, require
from store.corrections import Correction, add_correction, withdraw_corrections
from store.database import Database
from store.runs import find_run
from store.silences import Silence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts on a database."""

    database: Database
    user: User
    said: str = ""

    @property
    def name(self) -> str:
        """As whose the action is logged."""
        return self.said if self.user.name is None else self.user.name


@dataclass(frozen=True, slots=True)
class AlertName:
    """An alert of a run."""

    run: str
    rule: str
    key: str


def acknowledge(actor: Actor, alert: AlertName, comment: str) -> None:
    """Acknowledge the firing that lasts. Raises AccessDeniedError and AlertActionError."""
    require(actor.user, Deed.ACKNOWLEDGE)
    with actor.database.transaction() as connection:
        run = find_run(connection, alert.run)
        actions.acknowledge(connection, run, alert.rule, alert.key, actor.name, comment)


def unacknowledge(actor: Actor, alert: AlertName, comment: str) -> None:
    """Take an acknowledgement back. Raises AccessDeniedError and AlertActionError."""
    require(actor.user, Deed.ACKNOWLEDGE)
    with actor.database.transaction() as connection:
        run = find_run(connection, alert.run)
        actions.unacknowledge(connection, run, alert.rule, alert.key, actor.name, comment)


def comment_on(actor: Actor, alert: AlertName, comment: str) -> None:
    """Say something about an alert. Raises AccessDeniedError and AlertActionError."""
    require(actor.user, Deed.COMMENT)
    with actor.database.transaction() as connection:
        run = find_run(connection, alert.run)
        actions.comment_on(connection, run, alert.rule, alert.key, actor.name, comment)


def silence(  # noqa: PLR0913 - a silence, who and why
    actor: Actor,
    run_name: str,
    matchers: Mapping[str, str],
    start: datetime | None,
    length: timedelta,
    comment: str,
) -> Silence:
    """Have what the matchers fit not told for ``length``; ``start`` None: from now on.

    Raises AccessDeniedError, MatcherError and AlertActionError.
    """
    require(actor.user, Deed.SILENCE)
    checked = check_matchers(matchers)
    with actor.database.transaction() as connection:
        run = find_run(connection, run_name)
        span = actions.span_of_silence(run, datetime.now(UTC), start, None, length)
        return actions.silence_now(connection, run, checked, span, actor.name, comment)


def expire(actor: Actor, run_name: str, number: int, comment: str) -> None:
    """End a silence now. Raises AccessDeniedError and AlertActionError."""
    require(actor.user, Deed.SILENCE)
    with actor.database.transaction() as connection:
        run = find_run(connection, run_name)
        actions.expire_silence(connection, run, number, datetime.now(UTC), actor.name, comment)


def correct(actor: Actor, said: Correction) -> None:
    """Say what a document is about. Raises AccessDeniedError and CorrectionError."""
    require(actor.user, Deed.CORRECT)
    with actor.database.transaction() as connection:
        add_correction(connection, replace(said, author=actor.name))


def take_back(actor: Actor, said: Correction) -> None:
    """Withdraw what was said of a document. Raises AccessDeniedError and CorrectionError."""
    require(actor.user, Deed.CORRECT)
    with actor.database.transaction() as connection:
        withdraw_corrections(connection, said.run_id, said.document_id, actor.name, said.note)


def try_dead_letters(user: User, retry: Callable[[], T]) -> T:
    """Try a run's dead letters again, or say what would come of it. Raises AccessDeniedError."""
    require(user, Deed.TRY_DEAD_LETTERS)
    return retry()
