"""Servers that score, on this machine: ours in this process, and others that speak by a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from support.commands import wait_until

from classifier.engine import Engine
from tapewatch.remote.server import ScoringService, listen, web_server


@contextmanager
def serving(service: ScoringService) -> Iterator[str]:
    """The address of a real web server of `service`."""
    listening = listen("127.0.0.1", 0)
    server = web_server(service)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_until(lambda: server.started, 20)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(40)
        listening.close()
        service.close()


class Handler(BaseHTTPRequestHandler):
    """One request, and short ways to answer it."""

    protocol_version = "HTTP/1.1"
    body = b""

    def json(self, value: object, status: int = 200, **headers: str) -> None:
        """Answer with a value."""
        self.raw(json.dumps(value).encode(), status, **headers)

    def raw(self, data: bytes, status: int = 200, **headers: str) -> None:
        """Answer with bytes."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def sent(self) -> Any:
        """What the client sent."""
        return json.loads(self.body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@contextmanager
def answering(answer: Callable[[Handler], None]) -> Iterator[str]:
    """The address of a server whose every request `answer` answers."""

    class Answering(Handler):
        def do_POST(self) -> None:
            self.body = self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def do_GET(self) -> None:
            answer(self)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: object) -> None:
            """A client that hangs up is part of the tests."""

    with Server(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def kserve(engine: Engine, *, column: bool = True, extras: bool = True) -> Callable[..., None]:
    """A model behind the KServe v2 protocol, as its specification has it.

    `column`: the input has shape (N, 1), not (N,). `extras`: the optional outputs are there.
    """

    def answer(request: Handler) -> None:
        if request.path == "/v2/models/tone" and request.command == "GET":
            shape = [-1, 1] if column else [-1]
            request.json(
                {
                    "name": "tone",
                    "versions": ["3"],
                    "platform": "python",
                    "inputs": [{"name": "text", "datatype": "BYTES", "shape": shape}],
                    "outputs": [],
                }
            )
        elif request.path == "/v2/models/tone/infer" and request.command == "POST":
            (tensor,) = request.sent()["inputs"]
            texts = tensor["data"]
            expected = [len(texts), 1] if column else [len(texts)]
            described = (tensor["name"], tensor["datatype"], tensor["shape"])
            if described != ("text", "BYTES", expected):
                request.json({"error": f"unexpected input {described}"}, 400)
                return
            request.json({"model_name": "tone", "model_version": "3", "outputs": outputs(texts)})
        else:
            request.json({"error": "not found"}, 404)

    def outputs(texts: Sequence[str]) -> list[dict[str, Any]]:
        topics, sentiments = engine.probabilities(texts)
        tokenized = engine.tokenize(texts)
        tensors = {
            "topic_probabilities": ("FP64", topics.shape, topics.ravel().tolist()),
            "sentiment_probabilities": ("FP64", sentiments.shape, sentiments.ravel().tolist()),
        }
        if extras:
            tensors["tokens"] = ("INT64", (len(texts), 1), [len(t) for t in tokenized])
            tensors["truncated"] = ("BOOL", (len(texts), 1), [t.truncated for t in tokenized])
        return [
            {"name": name, "datatype": kind, "shape": list(shape), "data": data}
            for name, (kind, shape, data) in tensors.items()
        ]

    return answer


def vllm(engine: Engine, head: int, name: str) -> Callable[..., None]:
    """One head behind vLLM's `/v1/models` and `/classify`, as its documentation shows them."""
    classes = (engine.labels.topics, engine.labels.sentiments)[head]

    def answer(request: Handler) -> None:
        if request.path == "/v1/models":
            request.json({"object": "list", "data": [{"id": name, "object": "model"}]})
        elif request.path == "/classify" and request.command == "POST":
            texts = request.sent()["input"]
            rows = engine.probabilities(texts)[head].tolist()
            data = [
                {
                    "index": index,
                    "label": classes[row.index(max(row))],
                    "probs": row,
                    "num_classes": len(row),
                }
                for index, row in enumerate(rows)
            ]
            usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
            request.json(
                {
                    "id": "classify-1", "object": "list", "created": 1745383065,
                    "model": name, "data": data, "usage": usage,
                }
            )  # fmt: skip
        else:
            request.json({"detail": "Not Found"}, 404)

    return answer


def tiny_weights(folder: Path) -> Path:
    """Weights of two topics."""
    from support.tiny_weights import write_weights  # noqa: PLC0415

    words = {"negative": "falls", "positive": "rises"}
    return write_weights(folder, {"Banks": "loan", "Oil": "barrel"}, words)
