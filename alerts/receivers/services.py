"""Receivers through Apprise: Slack, Teams, e-mail, PagerDuty and many others, by one URL.

Apprise delivers once and says yes or no. Its own retries, redirects and throttling stay unused:
those are the sender's affair. The URL is a secret and is never shown.
"""

import logging
import re
from datetime import datetime
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType

from alerts.common.fields import RulesError
from alerts.common.text import plain
from alerts.receivers.delivery import Answer, DeliveryError, Reason, reason_of
from alerts.receivers.receiver import Receiver
from alerts.receivers.wording import is_alert, render, shipped
from store.outbox import Message

# What it says of a delivery is recorded with the attempt. What it says of an address that it does
# not understand may show keys, so nothing of it goes into our log.
_log = logging.getLogger("apprise")
_log.addHandler(logging.NullHandler())
_log.propagate = False

_CRITICAL = 8
"""From this severity on an alert is a failure to a service that tells those from warnings."""

_STATUS = re.compile(r"\berror=(\d{3})\b")
_DETAIL = 300
_TITLE = 200
_BODY = 2000


def check_url(url: str, where: str) -> None:
    """Raises RulesError where Apprise does not know what to do with the URL; does not show it."""
    if Apprise.instantiate(str(url), suppress_exceptions=True) is None:
        raise RulesError(
            f"{where}: its `url` is not one that Apprise knows; "
            "https://appriseit.com/services/ lists them"
        )


class Service:
    """One service that Apprise knows."""

    def __init__(self, receiver: Receiver, template: Template) -> None:
        self._url = str(receiver.url or "")
        self._name = receiver.name
        self._template = template
        self._notice = shipped("notice.txt")
        self._seconds = receiver.timeout.total_seconds()
        self._asset = AppriseAsset(
            app_id="Tapewatch",
            app_desc="Tapewatch",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            http_redirects=False,
            default_service_retry=0,
            service_timeout=self._seconds,
            storage_mode="memory",
        )
        self._own = self._parameters_of_dedup()

    def deliver(self, message: Message, now: datetime) -> Answer:  # noqa: ARG002
        """Hand the message's text to the service once."""
        template = self._template if is_alert(message.payload) else self._notice
        text = render(template, message.payload, str(message.id))
        title, _, body = text.partition("\n")
        service = self._service(message)
        if service is None:
            raise DeliveryError("Apprise does not take the address any more", Reason.INTERNAL)
        result = Apprise(service, asset=self._asset).notify(
            title=title[:_TITLE],
            body=(body.strip() or title)[:_BODY],
            notify_type=_type_of(message),
            body_format=NotifyFormat.TEXT,
        )
        lines = [str(entry.message) for entry in result.logs()]
        detail = plain(" ".join(lines), _DETAIL)
        if result:
            return Answer("accepted by the service")
        status = _STATUS.search(detail)
        code = int(status[1]) if status else None
        raise DeliveryError(
            detail or "the service refused", _reason(result.status.name, detail, code), code
        )

    def close(self) -> None:
        """Nothing is kept open."""

    def _service(self, message: Message) -> NotifyBase | None:
        seconds = str(self._seconds)
        parameters = {
            "cto": seconds,
            "rto": seconds,
            "retry": "0",
            "optional": "no",
            "redirect": "no",
            "overflow": "truncate",
        }
        if message.dedup_key:
            parameters |= {name: value or message.dedup_key for name, value in self._own.items()}
        return self._instantiate(parameters)

    def _instantiate(self, parameters: dict[str, str]) -> NotifyBase | None:
        # Of a parameter that comes twice, Apprise takes the last.
        joint = "&" if "?" in self._url else "?"
        url = f"{self._url}{joint}{urlencode(parameters)}" if parameters else self._url
        return Apprise.instantiate(url, asset=self._asset)

    def _parameters_of_dedup(self) -> dict[str, str | None]:
        """The parameters by which the service is given a dedup key (None) and told to resolve."""
        service = self._instantiate({})
        arguments: dict[str, dict[str, Any]] = dict(service.template_args) if service else {}
        found: dict[str, str | None] = {}
        for name in ("dedup", "alias", "entity_id"):
            if "alias_of" not in arguments.get(name, {"alias_of": ""}):
                found = {name: None}
                break
        actions = arguments.get("action", {}).get("values") or ()
        chosen = "action" in parse_qs(urlsplit(self._url).query)
        if found and "map" in tuple(actions) and not chosen:
            found["action"] = "map"
        return found


def _type_of(message: Message) -> NotifyType:
    payload = message.payload
    if payload.get("state") == "resolved":
        return NotifyType.SUCCESS
    if payload.get("type") == "receiver.test":
        return NotifyType.INFO
    severity = payload.get("severity")
    grave = isinstance(severity, int) and severity >= _CRITICAL
    return NotifyType.FAILURE if grave else NotifyType.WARNING


def _reason(outcome: str, detail: str, status: int | None) -> Reason:
    if status is not None:
        return reason_of(status)
    if outcome == "TIMEOUT":
        return Reason.TIMEOUT
    return Reason.UNREACHABLE if "onnection" in detail else Reason.REFUSED
