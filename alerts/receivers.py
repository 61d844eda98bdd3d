"""Receivers: how one message reaches somebody, once. Retrying is the sender's affair."""

import sys
from collections.abc import Callable
from typing import TextIO

import httpx

from alerts.rules import Receiver
from store.outbox import Message

Deliver = Callable[[Message], str]
"""Delivers a message and returns a note for the log. Raises DeliveryError."""


class DeliveryError(RuntimeError):
    """The receiver did not take the message; the sender tries again later."""


def to_console(message: Message, stream: TextIO | None = None) -> str:
    """Write the message's line to standard output."""
    output = stream or sys.stdout
    output.write(f"{message.payload['summary']}\n")
    output.flush()
    return "written"


class Webhook:
    """POSTs the payload as JSON; any 2xx answer is a success."""

    def __init__(self, receiver: Receiver) -> None:
        self._url = receiver.url or ""
        # No redirects: a receiver that moved must be told to us, not to whoever answers.
        self._client = httpx.Client(
            timeout=receiver.timeout.total_seconds(), follow_redirects=False
        )

    def __call__(self, message: Message) -> str:
        """Deliver once."""
        headers = {"webhook-id": str(message.id)}
        try:
            response = self._client.post(self._url, json=message.payload, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from error
        if not response.is_success:
            raise DeliveryError(f"answered {response.status_code}")
        return f"answered {response.status_code}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
