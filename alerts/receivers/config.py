"""Receivers of a rules file, checked, with their secrets. docs/receivers.md has every field.

Secrets come from the environment alone. Delivers nothing.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from alerts.common.fields import RulesError, expand, is_variable, variables
from alerts.receivers.receiver import CONSOLE, Receiver
from alerts.receivers.wording import load_template

_SECRET_BYTES = range(24, 65)


def resolve(
    receivers: Sequence[Receiver], templates: Path, where: str, environment: Mapping[str, str]
) -> tuple[Receiver, ...]:
    """The receivers, checked, with what comes from the environment. Raises RulesError."""
    names = {receiver.name for receiver in receivers} | {CONSOLE}
    resolved = []
    for receiver in receivers:
        place = f"{where}: receiver {receiver.name!r}"
        _check_common(receiver, names, place)
        if receiver.template is not None:
            load_template(templates, receiver.template, place)
        match receiver.type:
            case "console":
                resolved.append(_console(receiver, place))
            case "webhook":
                resolved.append(_webhook(receiver, place, environment))
            case "apprise":
                resolved.append(_apprise(receiver, place, environment))
    return tuple(resolved)


def _check_common(receiver: Receiver, names: set[str], where: str) -> None:
    if receiver.timeout <= timedelta(0):
        raise RulesError(f"{where}: `timeout` must be longer than nothing")
    if unknown := [name for name in receiver.on_failure if name not in names]:
        raise RulesError(f"{where}: `on_failure`: there is no receiver called {unknown[0]!r}")
    if receiver.name in receiver.on_failure and receiver.name != CONSOLE:
        raise RulesError(f"{where}: `on_failure` names the receiver itself")
    if receiver.type != "webhook" and receiver.secrets:
        raise RulesError(f"{where}: `secrets` are for a webhook")
    if receiver.type == "webhook" and receiver.template is not None:
        raise RulesError(f"{where}: a webhook sends JSON and has no `template`")


def _console(receiver: Receiver, where: str) -> Receiver:
    if receiver.url is not None:
        raise RulesError(f"{where}: the console has no `url`")
    return receiver


def _webhook(receiver: Receiver, where: str, environment: Mapping[str, str]) -> Receiver:
    if not receiver.url:
        raise RulesError(f"{where}: a webhook needs a `url`")
    url = expand(receiver.url, where, environment)
    if not url.startswith(("http://", "https://")):
        raise RulesError(f"{where}: `url` must be http or https")
    if not all(map(is_variable, receiver.secrets)):
        raise RulesError(f'{where}: `secrets` are read from the environment: write "${{NAME}}"')
    secrets = tuple(expand(secret, where, environment) for secret in receiver.secrets)
    for written, secret in zip(receiver.secrets, secrets, strict=True):
        _check_secret(secret, f"{where}: {written}")
    return msgspec.structs.replace(receiver, url=url, secrets=secrets)


def _check_secret(secret: str, where: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or size not in _SECRET_BYTES:
        raise RulesError(f"{where} must be whsec_ and the base64 of 24 to 64 random bytes")


def _apprise(receiver: Receiver, where: str, environment: Mapping[str, str]) -> Receiver:
    if not receiver.url or not variables(receiver.url):
        raise RulesError(
            f"{where}: an apprise receiver needs a `url` with a variable of the environment, such "
            'as "${SLACK_URL}"'
        )
    from alerts.receivers.services import check_url  # noqa: PLC0415 - few need it

    url = expand(receiver.url, where, environment)
    check_url(url, where)
    return msgspec.structs.replace(receiver, url=url)
