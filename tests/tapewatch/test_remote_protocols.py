"""KServe v2 and vLLM, against local servers that speak as documented; not the real ones."""

from contextlib import ExitStack, closing, contextmanager

import pytest
from support.scorers import answering, kserve, tiny_weights, vllm

from classifier.engine import Engine
from tapewatch.remote.errors import ScorerError
from tapewatch.remote.protocols import KServeProtocol, VllmProtocol, read_label_names
from tapewatch.remote.scorer import HttpScorer, open_http_scorer
from tapewatch.remote.transport import Transport
from tapewatch.settings import Settings

TEXTS = ["loan falls", "barrel rises 🛢️", "people at the market", "loan " * 5000]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def engine(weights):
    return Engine(weights, "cpu", threads=1)


def probabilities(predictions):
    return [(said.topic_probabilities, said.sentiment_probabilities) for said in predictions]


@pytest.mark.parametrize("column", [True, False])
def test_kserve_gives_what_the_engine_gives(weights, engine, column):
    with answering(kserve(engine, column=column)) as url:
        settings = Settings(
            scorer_url=f"{url}/v2/models/tone/", scorer_protocol="kserve", weights=weights
        )
        with closing(open_http_scorer(settings)) as scorer:
            assert (scorer.version, scorer.labels) == ("tone-3", engine.labels)
            said, expected = scorer.score(TEXTS), engine.score(TEXTS)
    assert probabilities(said) == probabilities(expected)
    assert [(p.tokens, p.truncated) for p in said] == [(p.tokens, p.truncated) for p in expected]
    assert {p.model for p in said} == {"tone-3"}


def test_kserve_without_tokens_estimates_them_and_cuts_nothing(engine):
    with kserve_scorer(kserve(engine, extras=False), engine) as scorer:
        said = scorer.score(TEXTS)
    assert probabilities(said) == probabilities(engine.score(TEXTS))
    assert [(p.tokens, p.truncated) for p in said[:1]] == [(4, False)]
    assert not any(p.truncated for p in said)


def test_vllm_gives_what_the_engine_gives_one_head_a_server(weights, engine):
    with (
        answering(vllm(engine, 0, "topics")) as topics,
        answering(vllm(engine, 1, "tone")) as tone,
    ):
        settings = Settings(
            scorer_url=f"{topics}, {tone}/", scorer_protocol="vllm", weights=weights
        )
        with closing(open_http_scorer(settings)) as scorer:
            assert scorer.version == "topics+tone"
            said = scorer.score(TEXTS)
            assert scorer.predict(scorer.tokenize(TEXTS)) == said
    assert probabilities(said) == probabilities(engine.score(TEXTS))
    assert {p.model for p in said} == {"topics+tone"}


@contextmanager
def kserve_scorer(answer, engine):
    with answering(answer) as url, closing(Transport(None, 5, 0.2)) as transport:
        yield HttpScorer(KServeProtocol(f"{url}/v2/models/tone", engine.labels), transport)


def changed(answer, change):
    """`answer` with its JSON changed on the way."""

    def through(request):
        whole = type(request).json
        request.json = lambda value, *more: whole(request, change(value), *more)
        answer(request)

    return through


def outputs(edit):
    """A change of the outputs of a KServe answer, by name."""

    def change(value):
        if value.get("outputs"):
            found = {tensor["name"]: tensor for tensor in value["outputs"]}
            edit(found)
            value["outputs"] = list(found.values())
        return value

    return change


WRONG_KSERVE = {
    "a head is missing": lambda found: found.pop("sentiment_probabilities"),
    "a row is missing": lambda found: found["topic_probabilities"].update(shape=[1, 2]),
    "a number is missing": lambda found: found["topic_probabilities"]["data"].pop(),
    "transposed": lambda found: found["topic_probabilities"].update(shape=[2, len(TEXTS)]),
    "logits": lambda found: found["topic_probabilities"].update(data=[2.5, -1.5] * len(TEXTS)),
    "text for numbers": lambda found: found["topic_probabilities"].update(data=["a"] * 8),
    "too few tokens": lambda found: found["tokens"]["data"].pop(),
}


@pytest.mark.parametrize("edit", WRONG_KSERVE.values(), ids=WRONG_KSERVE)
def test_a_wrong_kserve_answer_is_an_error(engine, edit):
    with (
        kserve_scorer(changed(kserve(engine), outputs(edit)), engine) as scorer,
        pytest.raises(ScorerError, match="/v2/models/tone/infer"),
    ):
        scorer.score(TEXTS)


@pytest.mark.parametrize(
    "inputs",
    [[], [{"name": "ids", "datatype": "INT64", "shape": [-1, -1]}],
     [{"name": "text", "datatype": "BYTES", "shape": [-1, 1, 1]}],
     [{"name": n, "datatype": "BYTES", "shape": [-1]} for n in ("title", "text")]],
)  # fmt: skip
def test_a_kserve_model_that_takes_no_texts_is_refused_when_it_is_opened(engine, inputs):
    def change(value):
        return {**value, "inputs": inputs} if "inputs" in value else value

    with (
        pytest.raises(ScorerError, match="one BYTES tensor"),
        kserve_scorer(changed(kserve(engine), change), engine),
    ):
        pass


def test_the_reason_of_a_kserve_error_is_told(engine):
    def change(value):
        return {**value, "name": "tone"} if "inputs" in value else value

    def renamed(request):
        if request.command == "POST":
            request.json({"error": "unexpected shape for input 'text'"}, 400)
        else:
            changed(kserve(engine), change)(request)

    with (
        kserve_scorer(renamed, engine) as scorer,
        pytest.raises(ScorerError, match="400, unexpected shape"),
    ):
        scorer.score(TEXTS)


def rows(edit):
    def change(value):
        if value["object"] == "list" and "created" in value:
            edit(value["data"])
        return value

    return change


WRONG_VLLM = {
    "a text is missing": (lambda data: data.pop(), "3 predictions where 4"),
    "an index twice": (lambda data: data[1].update(index=0), "numbers its predictions wrongly"),
    "a class too many": (lambda data: data[0].update(probs=[0.5, 0.3, 0.2]), "3 probabilities"),
    "logits": (lambda data: data[0].update(probs=[4.0, -3.0]), "perhaps logits"),
    "another order": (lambda data: data[0].update(label="Oil"), "the order of the classes differs"),
    "no number": (lambda data: data[0].update(probs=["a", "b"]), "does not answer as its protocol"),
}


@pytest.mark.parametrize(("edit", "message"), WRONG_VLLM.values(), ids=WRONG_VLLM)
def test_a_wrong_vllm_answer_is_an_error(engine, edit, message):
    with (
        vllm_scorer(engine, changed(vllm(engine, 0, "topics"), rows(edit))) as scorer,
        pytest.raises(ScorerError, match=message),
    ):
        scorer.score(TEXTS)


@contextmanager
def vllm_scorer(engine, topics):
    with ExitStack() as stack:
        urls = [stack.enter_context(answering(one)) for one in (topics, vllm(engine, 1, "tone"))]
        transport = stack.enter_context(closing(Transport(None, 5, 0.2)))
        yield HttpScorer(VllmProtocol(*urls, engine.labels), transport)


def test_vllm_rows_are_read_by_their_index_and_nameless_classes_are_let_be(engine):
    def shuffle(data):
        data.reverse()
        for row in data:
            row["label"] = f"LABEL_{row['index']}"

    with vllm_scorer(engine, changed(vllm(engine, 0, "topics"), rows(shuffle))) as scorer:
        assert probabilities(scorer.score(TEXTS)) == probabilities(engine.score(TEXTS))


def test_labels_are_read_without_the_weights_and_their_absence_names_the_setting(weights, tmp_path):
    assert read_label_names(weights).topics == ("Banks", "Oil")
    with pytest.raises(ScorerError, match="TAPEWATCH_WEIGHTS"):
        read_label_names(tmp_path)
    (tmp_path / "labels.json").write_text('{"topics": "no"}')
    with pytest.raises(ScorerError, match="cannot be read"):
        read_label_names(tmp_path)
