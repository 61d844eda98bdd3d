"""Who may do what: roles, what each action takes, and whose role is which. Pure; draws nothing.

A person is known by the e-mail address that the identity provider says it has verified, unless the
login names another claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any


class Role(IntEnum):
    """What somebody may do; a higher role may do all that a lower one may."""

    VIEWER = 1
    ANALYST = 2
    OPERATOR = 3

    @property
    def label(self) -> str:
        """As it is written in settings and on the page."""
        return self.name.lower()


class Deed(StrEnum):
    """What is done from the dashboard."""

    CORRECT = "correct documents"
    ACKNOWLEDGE = "acknowledge alerts"
    COMMENT = "comment on alerts"
    SILENCE = "silence alerts"
    TRY_DEAD_LETTERS = "try dead letters again"


NEEDED: Mapping[Deed, Role] = {
    Deed.CORRECT: Role.ANALYST,
    Deed.ACKNOWLEDGE: Role.ANALYST,
    Deed.COMMENT: Role.ANALYST,
    Deed.SILENCE: Role.ANALYST,
    Deed.TRY_DEAD_LETTERS: Role.OPERATOR,
}


class AccessDeniedError(RuntimeError):
    """Somebody may not do this; the message says which role it takes."""


class Standing(StrEnum):
    """Why a person has a role, or none."""

    NO_LOGIN = "no_login"
    GRANTED = "granted"
    SIGNED_OUT = "signed_out"
    SIGNED_IN_TOO_LONG_AGO = "signed_in_too_long_ago"
    NOT_NAMED = "not_named"
    NOT_VERIFIED = "not_verified"
    NO_ROLE = "no_role"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody at the dashboard. ``name`` None: nobody signs in, so people say who they are."""

    name: str | None
    role: Role | None
    standing: Standing

    def may(self, deed: Deed) -> bool:
        """Whether the role is enough."""
        return self.role is not None and self.role >= NEEDED[deed]


EMAIL = "email"
VERIFIED = "email_verified"

NOBODY = User(None, None, Standing.SIGNED_OUT)


@dataclass(frozen=True, slots=True)
class Login:
    """How people sign in, and which role each then has.

    ``person`` is the claim that somebody is known by, ``verified`` the one that must be true for
    it, None where none is asked for. ``emails`` are in lower case; ``people`` are as the provider
    writes them, where ``person`` is another claim. ``claim`` names the list of groups among what
    the provider says. ``default`` None: who is not named has no role. ``providers`` are those that
    can be chosen; none: there is one without a name.
    """

    providers: Sequence[str] = ()
    person: str = EMAIL
    verified: str | None = VERIFIED
    emails: Mapping[str, Role] = field(default_factory=dict)
    people: Mapping[str, Role] = field(default_factory=dict)
    claim: str | None = None
    groups: Mapping[str, Role] = field(default_factory=dict)
    default: Role | None = None
    max_age: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Access:
    """``login`` None: nobody signs in, and everybody has the role ``everybody``."""

    login: Login | None = None
    everybody: Role = Role.VIEWER


LOOK_ONLY = Access()
"""Everybody may look, and nobody may do anything."""


def identify(access: Access, claims: Mapping[str, Any], now: datetime) -> User:
    """Who it is, by what the provider said at the login; ``claims`` empty: nobody signed in."""
    if access.login is None:
        return User(None, access.everybody, Standing.NO_LOGIN)
    if claims.get("is_logged_in") is not True:
        return NOBODY
    name = claims.get(access.login.person)
    if not isinstance(name, str) or not name.strip():
        return User(None, None, Standing.NOT_NAMED)
    if not _is_verified(access.login, claims):
        return User(None, None, Standing.NOT_VERIFIED)
    since = claims.get("iat")
    if not isinstance(since, int | float) or now.timestamp() - since > (
        access.login.max_age.total_seconds()
    ):
        return User(name, None, Standing.SIGNED_IN_TOO_LONG_AGO)
    role = _role(access.login, name, claims)
    return User(name, role, Standing.GRANTED if role else Standing.NO_ROLE)


def require(user: User, deed: Deed) -> None:
    """Raises AccessDeniedError unless ``user`` may do it."""
    if not user.may(deed):
        raise AccessDeniedError(why_not(user, deed))


def why_not(user: User, deed: Deed) -> str:
    """Why somebody may not."""
    has = f"you are {_article(user.role)}" if user.role else "you have none"
    return f"To {deed} takes the role {NEEDED[deed].label}; {has}."


def _is_verified(login: Login, claims: Mapping[str, Any]) -> bool:
    """Whether the name may be believed; never where the provider says that the address may not."""
    if login.person == EMAIL and claims.get(VERIFIED, True) is not True:
        return False
    return login.verified is None or claims.get(login.verified) is True


def _role(login: Login, name: str, claims: Mapping[str, Any]) -> Role | None:
    groups = claims.get(login.claim) if login.claim else None
    named = groups if isinstance(groups, list) else [groups]
    found = [
        login.groups[group] for group in named if isinstance(group, str) and group in login.groups
    ]
    is_email = login.person == EMAIL
    by_name = login.emails.get(name.lower()) if is_email else login.people.get(name)
    if by_name is not None:
        found.append(by_name)
    return max(found, default=login.default)


def _article(role: Role) -> str:
    return f"{'an' if role is not Role.VIEWER else 'a'} {role.label}"
