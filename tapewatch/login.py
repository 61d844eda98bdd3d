"""Who may do what in the dashboard, from the settings and the file that they name.

The file is Streamlit's own, with the table ``[auth]``, and a table ``[roles]`` beside it.
docs/dashboard.md describes both.
"""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from alerts.rules.ruleset import duration
from dashboard.access.roles import EMAIL, VERIFIED, Access, Login, Role
from tapewatch.addresses import is_loopback
from tapewatch.settings import Settings

RoleName = Literal["viewer", "analyst", "operator"]

_SHORTEST_SECRET = 32
_CALLBACK = "/oauth2callback"


class LoginError(RuntimeError):
    """The login file cannot be used; the message says what to mend."""


class _Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default: RoleName | Literal["none"] = "none"
    claim: str | None = None
    max_age: str = "12h"
    person: str = EMAIL
    verified: str | None = None
    emails: dict[str, RoleName] = {}
    people: dict[str, RoleName] = {}
    groups: dict[str, RoleName] = {}


def read_access(settings: Settings) -> Access:
    """The access that the settings ask for. Raises LoginError."""
    if settings.dashboard_login is not None:
        return Access(read_login(settings.dashboard_login))
    alone = is_loopback(settings.dashboard_address)
    name = settings.dashboard_role or ("operator" if alone else "viewer")
    return Access(everybody=_role(name))


def read_login(path: Path) -> Login:
    """The login that the file at ``path`` describes. Raises LoginError."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise LoginError(f"cannot read the login file {path}: {error.strerror}") from error
    except ValueError as error:
        raise LoginError(f"{path}: {error}") from error
    try:
        roles = msgspec.convert(content.get("roles", {}), _Roles)
        max_age = duration(roles.max_age)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise LoginError(f"{path}: [roles]: {error}") from error
    auth = content.get("auth")
    if not isinstance(auth, dict):
        raise LoginError(f"{path}: the table [auth] is missing; docs/dashboard.md shows one")
    _check_auth(auth, path)
    _check_roles(roles, max_age, path)
    return Login(
        providers=tuple(name for name, value in auth.items() if isinstance(value, dict)),
        person=roles.person,
        verified=None if roles.verified == "none" else roles.verified or VERIFIED,
        emails={email.lower(): _role(name) for email, name in roles.emails.items()},
        people={person: _role(name) for person, name in roles.people.items()},
        claim=roles.claim,
        groups={group: _role(name) for group, name in roles.groups.items()},
        default=None if roles.default == "none" else _role(roles.default),
        max_age=max_age,
    )


def _check_auth(auth: Mapping[str, Any], path: Path) -> None:
    secret = auth.get("cookie_secret")
    if not isinstance(secret, str) or len(secret) < _SHORTEST_SECRET:
        raise LoginError(
            f"{path}: `cookie_secret` in [auth] signs who somebody is: it must be a random text of "
            f"{_SHORTEST_SECRET} characters or more, such as `openssl rand -hex 32` makes"
        )
    redirect = auth.get("redirect_uri")
    if not isinstance(redirect, str) or not redirect.endswith(_CALLBACK):
        raise LoginError(
            f"{path}: `redirect_uri` in [auth] must be the dashboard's address with {_CALLBACK}"
        )


def _check_roles(roles: _Roles, max_age: timedelta, path: Path) -> None:
    if max_age <= timedelta(0):
        raise LoginError(f"{path}: [roles]: `max_age` must be longer than nothing")
    if bool(roles.groups) != (roles.claim is not None):
        raise LoginError(f"{path}: [roles]: `claim` and [roles.groups] need each other")
    _check_person(roles, path)
    if roles.default == "none" and not roles.emails and not roles.people and not roles.groups:
        raise LoginError(f"{path}: [roles] gives nobody a role, so nobody could look")


def _check_person(roles: _Roles, path: Path) -> None:
    """A claim that anybody may choose for themselves would let them be anybody."""
    if not roles.person or roles.verified == "":
        raise LoginError(f"{path}: [roles]: `person` and `verified` name claims, not nothing")
    if roles.person != EMAIL and roles.verified is None:
        raise LoginError(
            f"{path}: [roles]: `person` is not `email`, so say in `verified` which claim must be "
            'true for it; or "none", if nobody can choose their own at this provider'
        )
    wrong, right = ("people", "emails") if roles.person == EMAIL else ("emails", "people")
    if getattr(roles, wrong):
        raise LoginError(
            f'{path}: [roles.{wrong}] is not for `person = "{roles.person}"`: use [roles.{right}]'
        )


def _role(name: str) -> Role:
    return Role[name.upper()]
