"""Receivers: how one message reaches somebody, once. Retrying is the sender's affair."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Protocol, TextIO

import httpx
from standardwebhooks import Webhook as Signer

from alerts.common.text import plain
from alerts.receivers.delivery import Answer, DeliveryError, Reason, reason_of, retry_after
from alerts.receivers.receiver import Receiver
from alerts.receivers.wording import is_alert, load_template, render, shipped
from store.outbox import Message

_BODY_READ = 65_536
_BODY_SHOWN = 200


class Channel(Protocol):
    """The way to one receiver. Used by one thread at a time."""

    def deliver(self, message: Message, now: datetime) -> Answer:
        """Deliver once; ``now`` is the wall clock. Raises DeliveryError."""

    def close(self) -> None:
        """Let go of connections."""


def open_channel(receiver: Receiver, templates: Path) -> Channel:
    """The way to a receiver; templates are read from ``templates``. Raises RulesError."""
    if receiver.type == "webhook":
        return Webhook(receiver)
    place = f"receiver {receiver.name!r}"
    template = receiver.template and load_template(templates, receiver.template, place)
    if receiver.type == "console":
        return Console(template or shipped("console.txt"))
    from alerts.receivers.services import Service  # noqa: PLC0415 - few need it

    return Service(receiver, template or shipped("message.txt"))


class Console:
    """Writes to standard output, or to ``stream``."""

    def __init__(self, template: Template | None = None, stream: TextIO | None = None) -> None:
        self._default = shipped("console.txt")
        self._template = template or self._default
        self._stream = stream

    def deliver(self, message: Message, now: datetime) -> Answer:  # noqa: ARG002
        """Write the message's text."""
        template = self._template if is_alert(message.payload) else self._default
        output = self._stream or sys.stdout
        try:
            output.write(f"{render(template, message.payload, str(message.id))}\n")
            output.flush()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            detail = f"{type(error).__name__}: {error}"
            raise DeliveryError(detail, Reason.UNREACHABLE) from error
        return Answer("written")

    def close(self) -> None:
        """Leave standard output open."""


class Webhook:
    """POSTs the payload as JSON, signed by Standard Webhooks; any 2xx answer is a success."""

    def __init__(self, receiver: Receiver) -> None:
        self._url = str(receiver.url or "")
        self._signers = [Signer(str(secret)) for secret in receiver.secrets]
        self._seconds = receiver.timeout.total_seconds()
        # No redirects: a receiver that moved must be told to us, not to whoever answers.
        self._client = httpx.Client(timeout=self._seconds, follow_redirects=False)

    def deliver(self, message: Message, now: datetime) -> Answer:
        """Deliver once, signed for the moment ``now``."""
        body = json.dumps(message.payload, ensure_ascii=False, separators=(",", ":"))
        headers = self._headers(message, body, now)
        deadline = time.monotonic() + self._seconds
        try:
            with self._client.stream(
                "POST", self._url, content=body.encode(), headers=headers
            ) as response:
                excerpt = _excerpt(response, deadline)
        except httpx.TimeoutException as error:
            raise DeliveryError(_described(error), Reason.TIMEOUT) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise DeliveryError(_described(error), Reason.UNREACHABLE) from error
        detail = f"answered {response.status_code}"
        if response.is_success:
            return Answer(detail, response.status_code)
        raise DeliveryError(
            f"{detail}: {excerpt}" if excerpt else detail,
            reason_of(response.status_code),
            response.status_code,
            retry_after(response.headers.get("retry-after"), now),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _headers(self, message: Message, body: str, now: datetime) -> dict[str, str]:
        identity = str(message.id)
        headers = {
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "tapewatch",
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._signers:
            moment = now.astimezone(UTC)
            signatures = [signer.sign(identity, moment, body) for signer in self._signers]
            headers["webhook-signature"] = " ".join(signatures)
        return headers


def _excerpt(response: httpx.Response, deadline: float) -> str:
    """The beginning of an answer's body. Its status counts, whatever becomes of the rest."""
    body = b""
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _BODY_READ or time.monotonic() > deadline:
                break
    except httpx.HTTPError:
        pass
    return plain(body.decode("utf-8", "replace"), _BODY_SHOWN)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {plain(str(error), _BODY_SHOWN)}"
