"""The scoring server on a real socket, with real tiny weights: what it says, whom it refuses."""

import json
import socket
import threading
from contextlib import closing, nullcontext
from urllib.parse import urlsplit

import httpx
import pytest
from support.commands import wait_until
from support.scorers import serving, tiny_weights

from classifier.engine import CHARACTERS_READ, Engine
from tapewatch.remote.errors import ScorerError
from tapewatch.remote.protocols import TapewatchProtocol
from tapewatch.remote.scorer import HttpScorer
from tapewatch.remote.server import ScoringService, listen
from tapewatch.remote.transport import Transport
from tapewatch.remote.wire import CHARACTERS_SENT, MAX_REQUEST_BYTES, MAX_TEXTS


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(tiny_weights(tmp_path_factory.mktemp("weights")), "cpu", threads=1)


@pytest.fixture(scope="module")
def url(engine):
    with serving(ScoringService(engine)) as address:
        yield address


class Held:
    """An engine that scores when it is let, and counts how often it was asked."""

    def __init__(self, engine):
        self.version, self.labels, self._engine = engine.version, engine.labels, engine
        self.asked, self.let = [], threading.Event()
        self.tokenize = engine.tokenize

    def predict(self, tokenized):
        self.asked.append([text.text for text in tokenized])
        assert self.let.wait(20)
        return self._engine.predict(tokenized)


def ask(url, texts, **options):
    return httpx.post(f"{url}/v1/predictions", json={"texts": texts}, timeout=20, **options)


def test_what_is_scored_there_is_what_is_scored_here(url, engine):
    texts = ["loan falls", "barrel rises 🛢️", "the\x07week\x00", "loan " * 5000, "naïve \u202etext"]
    scorer = HttpScorer(TapewatchProtocol(url), Transport(None, 20, 5))
    assert (scorer.version, scorer.labels) == (engine.version, engine.labels)
    assert scorer.predict(scorer.tokenize(texts)) == engine.score(texts)
    assert scorer.score([]) == []
    scorer.close()


def test_no_more_of_a_text_is_sent_than_shows_that_it_is_longer_than_what_is_read():
    assert CHARACTERS_SENT == CHARACTERS_READ + 1


def test_an_answer_names_version_classes_and_integers(url, engine):
    answer = ask(url, ["loan falls"])
    said = engine.score(["loan falls"])[0]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "model": {
            "version": engine.version,
            "topics": ["Banks", "Oil"],
            "sentiments": ["negative", "neutral", "positive"],
        },
        "predictions": [
            {
                "topic_probabilities": list(said.topic_probabilities.values()),
                "sentiment_probabilities": list(said.sentiment_probabilities.values()),
                "tokens": said.tokens,
                "truncated": False,
            }
        ],
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"texts": []}', b'{"texts": "one"}', b'{"texts": [1]}', b"\xff\xfe",
     b"[" * 100_000, json.dumps({"texts": ["x"] * (MAX_TEXTS + 1)}).encode()],
)  # fmt: skip
def test_what_is_no_request_is_refused_with_a_reason(url, body):
    answer = httpx.post(f"{url}/v1/predictions", content=body, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not what is expected")


@pytest.mark.parametrize("announced", [True, False])
def test_a_request_that_is_too_long_is_refused_before_it_is_read_to_its_end(url, announced):
    chunk = b"x" * 2**20
    chunks = (chunk for _ in range(MAX_REQUEST_BYTES // len(chunk) + 1))
    content = b"".join(chunks) if announced else chunks
    try:
        answer = httpx.post(f"{url}/v1/predictions", content=content, timeout=20)
    except httpx.TransportError:
        return  # the server hung up on what was still coming, which is a refusal, too
    assert answer.status_code == 413


def test_a_request_that_does_not_arrive_is_given_up(engine):
    with serving(ScoringService(engine, body_seconds=0.2)) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=20) as client:
            client.sendall(
                b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
            )
            assert b" 408 " in client.recv(4096).split(b"\r\n")[0]


def test_only_those_with_the_token_may_ask_but_everybody_may_see_that_it_lives(engine):
    with serving(ScoringService(engine, "open sesame")) as url:
        for token in (None, "open", "open sesame!", "ö"):
            headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
            assert ask(url, ["loan"], headers=headers).status_code == 401
            assert httpx.get(f"{url}/v1/model", headers=headers).status_code == 401
        right = {"Authorization": "bearer open sesame"}
        assert ask(url, ["loan"], headers=right).status_code == 200
        assert httpx.get(f"{url}/health").json()["model"] == engine.version
        for token, right in (("wrong", False), ("open sesame", True)):
            refusal = pytest.raises(ScorerError, match="TAPEWATCH_SCORER_TOKEN")
            with closing(Transport(token, 5, 5)) as transport, nullcontext() if right else refusal:
                HttpScorer(TapewatchProtocol(url), transport)


def in_background(url, texts, answers):
    thread = threading.Thread(target=lambda: answers.append(ask(url, texts)))
    thread.start()
    return thread


def test_a_full_queue_asks_to_come_again_and_one_batch_is_scored_at_a_time(engine):
    held, answers = Held(engine), []
    with serving(ScoringService(held, queue=2)) as url:
        first = in_background(url, ["loan"], answers)
        wait_until(lambda: held.asked, 20)
        second = in_background(url, ["barrel"], answers)
        wait_until(lambda: httpx.get(f"{url}/health").json()["waiting"] == 2, 20)
        refused = ask(url, ["week"])
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert held.asked == [["loan"]]
        held.let.set()
        first.join()
        second.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert held.asked == [["loan"], ["barrel"]]


def test_who_has_gone_is_not_scored(engine):
    held, answers = Held(engine), []
    with serving(ScoringService(held)) as url:
        first = in_background(url, ["loan"], answers)
        wait_until(lambda: held.asked, 20)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/predictions", json={"texts": ["gone"]}, timeout=0.3)
        held.let.set()
        first.join()
        wait_until(lambda: httpx.get(f"{url}/health").json()["waiting"] == 0, 20)
    assert held.asked == [["loan"]]


class Failing(Held):
    def predict(self, tokenized):
        raise RuntimeError("CUDA error: secret detail")


def test_a_failure_is_told_without_its_detail_and_the_server_goes_on(engine):
    with serving(ScoringService(Failing(engine))) as url:
        for _ in range(2):
            answer = ask(url, ["loan"])
            assert answer.status_code == 500
            assert answer.json() == {"error": "scoring failed: RuntimeError"}


def test_an_address_that_is_taken_says_which_setting_names_it():
    with listen("127.0.0.1", 0) as taken, pytest.raises(ScorerError, match="TAPEWATCH_SERVE_PORT"):
        listen("127.0.0.1", taken.getsockname()[1])
