"""A real web server on this machine that takes webhooks, and answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message as Headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


@dataclass
class Reply:
    """What the server answers to one request."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Post:
    """What came to the server."""

    headers: Headers
    content: bytes
    path: str = "/hook"

    @property
    def body(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]


class Hook:
    """What was posted, and what is answered: the next of ``replies``, else what ``decide`` says.

    Who holds ``lock`` keeps the server from answering.
    """

    def __init__(self, port: int) -> None:
        """Know the server's port."""
        self.url = f"http://127.0.0.1:{port}/hook"
        self.port = port
        self.replies: list[Reply] = []
        self.posts: list[Post] = []
        self.lock = Lock()
        self.decide: Callable[[Post], Reply] = lambda _: Reply()

    @property
    def ids(self) -> list[str]:
        """The ids of what was posted, in order."""
        return [post.id for post in self.posts]

    def answer(self, *statuses: int) -> None:
        """Answer with these statuses next, in order."""
        self.replies += [Reply(status) for status in statuses]


@contextmanager
def hook_server() -> Iterator[Hook]:
    """A hook for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            post = Post(self.headers, content, self.path)
            with hook.lock:
                hook.posts.append(post)
                reply = hook.replies.pop(0) if hook.replies else hook.decide(post)
            with suppress(ConnectionError):  # who gave up waiting is gone
                self._reply(reply)

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    hook = Hook(server.server_port)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
