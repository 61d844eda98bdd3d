"""The model behind HTTP: several workers on machines without a GPU share the one that has it.

One batch is on the device at a time, the next is tokenized beside it; others wait in a bounded
queue, in the order in which they came, and when it is full a client is told to come again. A client
that has gone while it waited costs nothing. Starlette and uvicorn are known here and nowhere else;
nothing is known of Kafka or the store.
"""

import asyncio
import hmac
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tapewatch.champion import Model, Tokenized
from tapewatch.remote.errors import ScorerError
from tapewatch.remote.wire import MAX_REQUEST_BYTES, Predictions, Problem, Texts, card, pack

log = structlog.get_logger(__name__)

QUEUE = 16
"""Requests that may wait for the device; the one that is on it counts."""

CONNECTIONS = 128
BODY_SECONDS = 30.0
"""How long a request may take to arrive."""

RETRY_AFTER_SECONDS = 1
STOP_SECONDS = 30
"""How long requests under way may take to end when the server is told to stop."""

Handler = Callable[[Request], Awaitable[Response]]


class _RefusedError(Exception):
    """A request that is answered with ``status`` and a reason."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class ScoringService:
    """The model, its queue and the answers; ``app`` is what a web server runs.

    ``token``: what clients must carry as bearer token; None: everybody may ask.
    """

    def __init__(
        self,
        model: Model,
        token: str | None = None,
        queue: int = QUEUE,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._model = model
        self._token = token.encode() if token else None
        self._queue = queue
        self._body_seconds = body_seconds
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._tokenizer = ThreadPoolExecutor(1, "tokenizing")
        self._device = ThreadPoolExecutor(1, "scoring")
        self.app = Starlette(
            routes=[
                Route("/health", self._answering(self._health)),
                Route("/v1/model", self._answering(self._describe)),
                Route("/v1/predictions", self._answering(self._predict), methods=["POST"]),
            ]
        )

    def close(self) -> None:
        """Wait for the batch under way."""
        self._tokenizer.shutdown()
        self._device.shutdown()

    def _answering(self, handler: Handler) -> Handler:
        """``handler`` with what it refuses, and what goes wrong in it, told as JSON."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except _RefusedError as refused:
                return _json(Problem(str(refused)), refused.status, refused.headers)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:
                log.exception("scoring_failed")
                return _json(Problem(f"scoring failed: {type(error).__name__}"), 500)

        return answer

    async def _health(self, _: Request) -> Response:
        return _json({"status": "ok", "model": self._model.version, "waiting": self._waiting})

    async def _describe(self, request: Request) -> Response:
        self._admit(request)
        return _json(card(self._model.version, self._model.labels))

    async def _predict(self, request: Request) -> Response:
        self._admit(request)
        if self._waiting >= self._queue:
            later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise _RefusedError(503, f"{self._waiting} requests wait already", later)
        self._waiting += 1
        try:
            texts = _texts(await self._body(request))
            loop = asyncio.get_running_loop()
            tokenized = await loop.run_in_executor(self._tokenizer, self._model.tokenize, texts)
            async with self._turn:
                if await request.is_disconnected():
                    raise ClientDisconnect
                return _json(await loop.run_in_executor(self._device, self._score, tokenized))
        finally:
            self._waiting -= 1

    def _score(self, tokenized: Sequence[Tokenized]) -> Predictions:
        return pack(self._model.predict(tokenized))

    def _admit(self, request: Request) -> None:
        if self._token is None:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not right:
            raise _RefusedError(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})

    async def _body(self, request: Request) -> bytes:
        """The request's body, as far as it is neither too long nor too slow."""
        too_long = _RefusedError(413, f"a request has at most {MAX_REQUEST_BYTES} bytes")
        announced = request.headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > MAX_REQUEST_BYTES:
            raise too_long
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_REQUEST_BYTES:
                        raise too_long
        except TimeoutError as error:
            reason = f"the request did not arrive within {self._body_seconds:g} s"
            raise _RefusedError(408, reason) from error
        return bytes(body)


def _texts(body: bytes) -> list[str]:
    try:
        return msgspec.json.decode(body, type=Texts).texts
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _RefusedError(400, f"the body is not what is expected: {error}") from error


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def web_server(service: ScoringService) -> uvicorn.Server:
    """The web server of ``service``, not yet running; ``should_exit`` ends it."""
    config = uvicorn.Config(
        service.app,
        http="h11",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return uvicorn.Server(config)


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes one that is free. Raises ScorerError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise ScorerError(
            f"cannot listen on {address}:{port}: {error}; TAPEWATCH_SERVE_ADDRESS and "
            "TAPEWATCH_SERVE_PORT say where"
        ) from error


def serve_until_told(service: ScoringService, listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl+C; requests under way are answered first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has handlers of its own meanwhile, and hands the signal on when it has stopped.
        signal.signal(number, lambda *_: None)
    try:
        web_server(service).run(sockets=[listening])
    finally:
        service.close()
