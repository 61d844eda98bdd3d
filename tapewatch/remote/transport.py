"""HTTP calls that wait for a server that is away or busy, for as long as patience lasts.

What may be better in a moment is tried again: no connection, a connection that breaks, an answer
that is too slow, 408, 429 and every 5xx, after ``Retry-After`` where the server names it. Anything
else is an error at once. Knows nothing of what is asked.
"""

import random
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec
import structlog

from tapewatch.remote.errors import ScorerError, ScorerUnavailableError
from tapewatch.remote.wire import MAX_RESPONSE_BYTES, Problem

log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"""Seconds between attempts, but for ``Retry-After``."""

CONNECT_SECONDS = 10.0
_BUSY = frozenset({408, 429})


class _TryAgainError(Exception):
    """This attempt came to nothing; ``after`` seconds, if the server said so, another may."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Transport:
    """Calls with one token, one time limit an answer, and one patience a call (seconds)."""

    def __init__(self, token: str | None, timeout_seconds: float, patience_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._patience = patience_seconds
        self._closed = threading.Event()
        headers = {"Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connect = min(CONNECT_SECONDS, timeout_seconds)
        self._client = httpx.Client(
            headers=headers, timeout=httpx.Timeout(timeout_seconds, connect=connect)
        )

    def close(self) -> None:
        """End the waiting under way, from whichever thread."""
        self._closed.set()
        self._client.close()

    def get(self, url: str) -> bytes:
        """The body found at ``url``. Raises ScorerError."""
        return self._patiently("GET", url, None)

    def post(self, url: str, body: object) -> bytes:
        """The answer to ``body``, sent as JSON. Raises ScorerError."""
        return self._patiently("POST", url, msgspec.json.encode(body))

    def _patiently(self, method: str, url: str, body: bytes | None) -> bytes:
        deadline = time.monotonic() + self._patience
        backoff = FIRST_WAIT
        while True:
            try:
                return self._once(method, url, body)
            except _TryAgainError as problem:
                # Of many workers not all should come again at the same moment.
                wait = problem.after or backoff * random.uniform(0.5, 1.0)  # noqa: S311
                if time.monotonic() + wait > deadline:
                    raise ScorerUnavailableError(
                        f"the scorer at {url} was away for {self._patience:g} s: {problem}; "
                        "start it, or wait longer by TAPEWATCH_SCORER_PATIENCE_SECONDS"
                    ) from problem
                log.warning("waiting_for_scorer", url=url, seconds=wait, error=str(problem))
            if self._closed.wait(wait):
                raise ScorerUnavailableError(f"told to stop while waiting for {url}")
            backoff = min(2 * backoff, LONGEST_WAIT)

    def _once(self, method: str, url: str, body: bytes | None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            with self._client.stream(method, url, content=body, headers=headers) as response:
                data = self._read(response)
        except httpx.TransportError as error:
            raise _TryAgainError(str(error) or type(error).__name__) from error
        status = response.status_code
        if status == httpx.codes.OK:
            return data
        reason = f"{status}, {_reason(data) or response.reason_phrase}"
        if status in _BUSY or response.is_server_error:
            raise _TryAgainError(reason, _retry_after(response))
        raise ScorerError(f"{url} answered {reason}{_advice(status)}")

    def _read(self, response: httpx.Response) -> bytes:
        """The body, of bounded length and within bounded time, however it trickles in."""
        deadline = time.monotonic() + self._timeout
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > MAX_RESPONSE_BYTES:
                raise ScorerError(f"{response.url} answered more than {MAX_RESPONSE_BYTES} bytes")
            if time.monotonic() > deadline:
                raise _TryAgainError(f"no whole answer within {self._timeout:g} s")
        return bytes(data)


def _reason(data: bytes) -> str:
    """What the server says went wrong, if it says so as we and KServe do."""
    try:
        return msgspec.json.decode(data, type=Problem).error[:300]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _advice(status: int) -> str:
    if status in {401, 403}:
        return ": set TAPEWATCH_SCORER_TOKEN to the server's token"
    if status in {404, 405}:
        return ": check TAPEWATCH_SCORER_URL and TAPEWATCH_SCORER_PROTOCOL"
    return ""


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from a number of seconds or a date; None if the server names neither."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
