"""What people did about alerts: an audit log by wall clock, which also holds acknowledgements.

An acknowledgement is of one firing (rule, key and when it began), so that it ends with it by
itself: nobody has to take it back.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from store.errors import AlertActionError
from store.schema import alert_actions

LONGEST_AUTHOR, LONGEST_COMMENT = 100, 2000
"""Characters of an author's name and of a comment."""


class Action(StrEnum):
    """What was done."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    COMMENT = "comment"
    SILENCE = "silence"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action; ``rule`` and ``key`` of an alert, or the number of a silence."""

    action: str
    author: str
    comment: str | None = None
    rule: str | None = None
    key: str | None = None
    began_at: datetime | None = None
    silence_id: int | None = None
    at: datetime | None = None


_NAMES = [field.name for field in fields(ActionRow)]

Episode = tuple[str, str, datetime]
"""One time that an alert is active: rule, key, and when it began."""


def add_action(connection: Connection, run_id: int, action: ActionRow) -> None:
    """Log an action, now. Raises AlertActionError where nobody did it or a text is too long."""
    author, comment = storable(action.author), storable(action.comment or "") or None
    if not author:
        raise AlertActionError("say who does this: --by NAME")
    for name, value, longest in (
        ("name", author, LONGEST_AUTHOR),
        ("comment", comment, LONGEST_COMMENT),
    ):
        if len(value or "") > longest:
            raise AlertActionError(f"the {name} has {len(value or '')} characters, over {longest}")
    connection.execute(
        insert(alert_actions).values(
            run_id=run_id,
            action=action.action,
            author=author,
            comment=comment,
            rule=action.rule,
            key=action.key,
            began_at=action.began_at,
            silence_id=action.silence_id,
        )
    )


def read_acknowledged(connection: Connection, run_id: int) -> frozenset[Episode]:
    """The firings that are acknowledged: of each, what was done last counts."""
    table = alert_actions.c
    last = (
        select(table.rule, table.key, table.began_at, table.action)
        .ext(distinct_on(table.rule, table.key, table.began_at))
        .where(
            table.run_id == run_id,
            table.action.in_((Action.ACKNOWLEDGE, Action.UNACKNOWLEDGE)),
        )
        .order_by(table.rule, table.key, table.began_at, table.id.desc())
    )
    return frozenset(
        (row.rule, row.key, row.began_at.astimezone(UTC))
        for row in connection.execute(last)
        if row.action == Action.ACKNOWLEDGE
    )


def read_actions(
    connection: Connection, run_id: int, alert: tuple[str, str] | None = None
) -> list[ActionRow]:
    """What was done in a run, or about one (rule, key), the latest first."""
    table = alert_actions.c
    statement = select(*(table[name] for name in _NAMES)).where(table.run_id == run_id)
    if alert is not None:
        statement = statement.where(table.rule == alert[0], table.key == alert[1])
    return [ActionRow(*row) for row in connection.execute(statement.order_by(table.id.desc()))]


def storable(text: str) -> str:
    """Without NUL and lone surrogates, which no database stores, and white space around."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
