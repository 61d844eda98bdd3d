"""A small identity provider on the loopback address: OpenID Connect with code, PKCE and RS256.

Whoever is asked to sign in chooses one of the people it knows by a link; nothing is believed that
the standard says to check.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "tapewatch", "a secret of the test"


class Provider:
    """Who can sign in, and what was granted; claims by name may be changed at any time."""

    def __init__(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.people = dict(people)
        self.key = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
        self.granted: dict[str, dict[str, str]] = {}
        self.url = ""

    def metadata(self) -> dict[str, Any]:
        """What the provider says of itself."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def choices(self, asked: Mapping[str, str]) -> str:
        """The page on which one says who one is."""
        links = [
            f'<li><a href="/grant?{urlencode({**asked, "person": name})}">{name}</a></li>'
            for name in self.people
        ]
        return f"<!doctype html><title>Who are you?</title><ul>{''.join(links)}</ul>"

    def grant(self, asked: dict[str, str]) -> str:
        """Where the browser goes on, with a code that is good once."""
        code = secrets.token_urlsafe(16)
        self.granted[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: Mapping[str, str], client: str) -> dict[str, Any] | None:
        """The tokens for a code; None where something is not as it was."""
        asked = self.granted.pop(form.get("code", ""), None)
        if asked is None or client != f"{CLIENT}:{SECRET}":
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if proof != asked["code_challenge"] or form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": asked["person"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.people[asked["person"]],
        }
        signed = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self.key)
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": signed}


@contextmanager
def identity_provider(people: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """A provider that listens for as long as the block runs."""
    provider = Provider(people)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self.answer(provider.metadata())
            elif parts.path == "/jwks":
                self.answer({"keys": [provider.key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                self.answer(provider.choices(asked))
            elif parts.path == "/grant":
                self.send_response(302)
                self.send_header("location", provider.grant(asked))
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            _, _, basic = self.headers.get("authorization", "").partition(" ")
            tokens = provider.token(form, base64.b64decode(basic).decode())
            self.answer(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

        def answer(self, content: str | dict[str, Any], status: int = 200) -> None:
            page = isinstance(content, str)
            body = (content if page else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if page else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
