"""The scorer that asks a server, against real local servers that misbehave by a script."""

import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain, repeat

import pytest
from support.scorers import answering

from classifier.labels import SENTIMENTS, Labels
from ingest.pipeline import Pipeline
from tapewatch.remote import scorer as scorer_module
from tapewatch.remote.errors import ScorerError, ScorerUnavailableError
from tapewatch.remote.protocols import TapewatchProtocol
from tapewatch.remote.scorer import HttpScorer, open_http_scorer
from tapewatch.remote.transport import Transport
from tapewatch.remote.wire import MAX_RESPONSE_BYTES, MAX_TEXTS, REQUEST_BYTES
from tapewatch.settings import Settings

CARD = {"version": "first", "topics": ["Banks", "Oil"], "sentiments": list(SENTIMENTS)}
SAID = {
    "topic_probabilities": [9000, 1000],
    "sentiment_probabilities": [1, 9998, 1],
    "tokens": 3,
    "truncated": False,
}


def right(request, **card):
    """A right answer to a request for predictions."""
    texts = request.sent()["texts"]
    request.json({"model": {**CARD, **card}, "predictions": [SAID for _ in texts]})


@contextmanager
def scripted(*answers, timeout=5.0, patience=5.0, card=CARD):
    """A scorer of a server that gives these answers in turn and then right ones; and its log."""
    script, asked = chain(answers, repeat(right)), []

    def answer(request):
        if request.path == "/v1/model":
            request.json(card)
            return
        asked.append(request.sent()["texts"])
        next(script)(request)

    with answering(answer) as url, closing(Transport(None, timeout, patience)) as transport:
        yield HttpScorer(TapewatchProtocol(url), transport), asked


def busy(request, after="0"):
    request.json({"error": "9 requests wait already"}, 503, Retry_After=after)


def hang_up(request):
    request.close_connection = True


def break_off(request):
    request.send_response(200)
    request.send_header("Content-Length", "5000")
    request.end_headers()
    request.wfile.write(b'{"model"')
    request.close_connection = True


def sleep(request):
    time.sleep(1.0)
    hang_up(request)


def trickle(request):
    request.send_response(200)
    request.send_header("Content-Length", "5000")
    request.end_headers()
    for _ in range(10):
        request.wfile.write(b" ")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "fault",
    [busy, hang_up, break_off, lambda r: r.raw(b"<html>", 502), lambda r: r.json({}, 500),
     lambda r: r.json({}, 429, Retry_After="soon"), lambda r: r.raw(b"\xff", 408)],
)  # fmt: skip
def test_what_may_be_better_in_a_moment_is_asked_again(fault):
    with scripted(fault, fault) as (scorer, asked):
        (said,) = scorer.score(["loan"])
    assert (said.topic, said.score, said.model, said.tokens) == ("Banks", 0, "first", 3)
    assert asked == [["loan"]] * 3


@pytest.mark.parametrize("fault", [sleep, trickle])
def test_an_answer_that_is_too_slow_is_asked_for_again(fault):
    with scripted(fault, timeout=0.4) as (scorer, asked):
        assert len(scorer.score(["loan"])) == 1
    assert len(asked) == 2


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for_as_seconds_and_as_a_date(as_date):
    def later(request):
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        busy(request, moment if as_date else "1")

    with scripted(later) as (scorer, asked):
        begun = time.monotonic()
        scorer.score(["loan"])
        assert time.monotonic() - begun > 0.9
    assert len(asked) == 2


@pytest.mark.parametrize("fault", [hang_up, busy])
def test_a_server_that_stays_away_is_given_up_with_advice(fault):
    script = [fault] * 1000
    with scripted(*script, patience=0.8) as (scorer, asked):
        with pytest.raises(ScorerUnavailableError, match="TAPEWATCH_SCORER_PATIENCE_SECONDS"):
            scorer.score(["loan"])
        assert len(asked) > 1


def test_a_retry_after_beyond_the_patience_is_not_waited_for():
    begun = time.monotonic()
    with (
        scripted(lambda request: busy(request, "3600")) as (scorer, _),
        pytest.raises(ScorerUnavailableError, match="9 requests wait already"),
    ):
        scorer.score(["loan"])
    assert time.monotonic() - begun < 3


def test_nobody_there_is_given_up_when_it_is_opened():
    with answering(hang_up) as url:
        pass
    settings = Settings(scorer_url=url, scorer_patience_seconds=0.5)
    with pytest.raises(ScorerUnavailableError, match="refused"):
        open_http_scorer(settings)


def test_a_wait_ends_when_the_scorer_is_closed():
    with scripted(*[lambda request: busy(request, "60")], patience=100) as (scorer, asked):
        threading.Timer(0.3, scorer.close).start()
        with pytest.raises(ScorerUnavailableError, match="told to stop"):
            scorer.score(["loan"])
    assert len(asked) == 1


def saying(model=(), count=1, **said):
    value = {"model": {**CARD, **dict(model)}, "predictions": [{**SAID, **said}] * count}
    return lambda request: request.json(value)


WRONG = {
    "garbage": lambda r: r.raw(b"<html>it works</html>"),
    "no UTF-8": lambda r: r.raw(b'{"model": "\xff"}'),
    "nothing": lambda r: r.raw(b""),
    "nested": lambda r: r.raw(b"[" * 100_000),
    "one too many": saying(count=2),
    "one too few": saying(count=0),
    "a class too few": saying(topic_probabilities=[10_000]),
    "negative": saying(topic_probabilities=[-1, 10_001]),
    "too large": saying(topic_probabilities=[20_000, 0]),
    "fractions": saying(topic_probabilities=[0.9, 0.1]),
    "no sum": saying(sentiment_probabilities=[5000, 5000, 5000]),
    "no version": saying({"version": ""}),
    "no sentiment": saying({"sentiments": ["bad", "so so", "good"]}),
    "twice the same class": saying({"topics": ["Oil", "Oil"]}),
    "no topics": saying({"topics": []}, topic_probabilities=[]),
    "other labels of that version": saying({"topics": ["Oil", "Banks"]}),
    "too long": lambda r: r.raw(b" " * (MAX_RESPONSE_BYTES + 1)),
    "moved": lambda r: r.raw(b"", 301, Location="http://127.0.0.1:9/"),
    "not found": lambda r: r.raw(b"", 404),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_an_error_at_once_that_names_the_address(answer):
    with scripted(answer) as (scorer, asked):
        with pytest.raises(ScorerError, match=r"http://127|other labels") as raised:
            scorer.score(["loan"])
        assert not isinstance(raised.value, ScorerUnavailableError)
        assert len(asked) == 1


def test_a_model_without_a_negative_class_is_refused_when_it_is_opened():
    with (
        pytest.raises(ScorerError, match="no prediction can be made"),
        scripted(card={**CARD, "sentiments": ["neutral"]}),
    ):
        pass


def second(request):
    right(request, version="second", topics=["Gold", "Tin"])


def test_a_batch_in_the_middle_of_which_the_version_changes_is_asked_again_whole():
    texts = [f"text {number}" for number in range(MAX_TEXTS + 500)]
    with scripted(right, second, second, second) as (scorer, asked):
        predictions = scorer.score(texts)
        assert {said.model for said in predictions} == {"second"}
        assert (scorer.version, scorer.labels) == ("second", Labels(("Gold", "Tin")))
    assert [len(part) for part in asked] == [MAX_TEXTS, 500] * 2
    assert asked[0] + asked[1] == texts


def test_versions_that_never_settle_are_an_error():
    with (
        scripted(*[right, second] * 10) as (scorer, _),
        pytest.raises(ScorerError, match="different weights behind one address"),
    ):
        scorer.score(["text"] * (MAX_TEXTS + 1))


def test_a_batch_goes_out_in_requests_that_the_server_takes():
    texts = ["\x01" * 10_000, "é" * 1_000_000, *["x" * 16_000] * 300, "last"]
    with scripted() as (scorer, asked):
        assert len(scorer.score(texts)) == len(texts)
    assert [text[:100] for part in asked for text in part] == [text[:100] for text in texts]
    assert len(asked) > 2
    assert max(len(text) for part in asked for text in part) == 16_385
    assert max(sum(6 * len(text) for text in part) for part in asked) <= REQUEST_BYTES


@pytest.mark.parametrize(
    ("protocol", "url", "message"),
    [
        ("tapewatch", "gpu:8600", "no http"),
        ("tapewatch", "http://a,http://b", "needs 1"),
        ("vllm", "http://a", "a comma, that of the sentiment model"),
        ("kserve", "ftp://a/v2/models/m", "no http"),
    ],
)
def test_an_address_that_cannot_be_is_said_so(protocol, url, message):
    with pytest.raises(ScorerError, match=message):
        open_http_scorer(Settings(scorer_url=url, scorer_protocol=protocol))


def test_the_pipeline_takes_it_as_a_scorer():
    with scripted() as (scorer, _):
        assert Pipeline(None, scorer, None).scorer.score(["a", "b"])[1].topic == "Banks"
        assert [len(item) for item in scorer.tokenize(["", "word " * 100])] == [2, 127]
    assert scorer_module.ROUNDS > 1
