import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support.tiny_bases import KINDS, write_base

from classifier.data.datasets import Example
from classifier.engine import Engine
from classifier.evaluation.scores import evaluate
from classifier.labels import SENTIMENTS, UNLABELLED, Labels
from classifier.model import encode, open_base, save_weights
from classifier.training.probe import fit_heads

pytestmark = pytest.mark.usefixtures("one_thread")

NONE = UNLABELLED
LABELS = Labels(("Oil", "Gold", "Bank"), SENTIMENTS)
EXAMPLES = [
    Example(f"{noun} {verb} week {week}", topic, sentiment)
    for week in range(8)
    for topic, noun in enumerate(LABELS.topics)
    for sentiment, verb in enumerate(("falls", "stays", "rises"))
]
TRAIN, TEST = EXAMPLES[18:], EXAMPLES[:18]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    texts = [example.text for example in EXAMPLES]
    return {kind: write_base(folder / kind, kind, texts, width=32) for kind in KINDS}


def opened(bases, kind="gpt2"):
    torch.manual_seed(1)
    return open_base(str(bases[kind]), LABELS, 0.1)[:2]


def heads(model):
    return {n: v.clone() for n, v in model.state_dict().items() if not n.startswith("trunk.")}


@pytest.mark.parametrize("kind", KINDS)
def test_random_features_of_any_base_are_enough_to_tell_words_apart(bases, kind, tmp_path):
    model, tokenizer = opened(bases, kind)

    fit_heads(model, tokenizer, TRAIN, 32)

    save_weights(model, tokenizer, tmp_path, torch.float32)
    for score in evaluate(Engine(tmp_path, "cpu"), TEST):
        assert score.accuracy > 0.6, score.head


def test_it_is_logistic_regression(bases):
    model, tokenizer = opened(bases)
    fit_heads(model, tokenizer, TRAIN, 32)
    (tokens, lengths) = zip(
        *((torch.tensor([ids]), torch.tensor([len(ids)]))
          for ids in encode(tokenizer, [e.text for e in TRAIN], 32)), strict=True,
    )  # fmt: skip
    with torch.no_grad():
        vectors = torch.cat([model.read(*text) for text in zip(tokens, lengths, strict=True)])
        ours = model.topic_head(vectors).argmax(dim=1)
    theirs = LogisticRegression(C=1e3, max_iter=2000).fit(vectors, [e.topic for e in TRAIN])

    agreed = (ours.numpy() == theirs.predict(vectors)).mean()

    assert agreed > 0.95


def test_only_the_heads_that_are_named_are_fitted_and_never_the_trunk(bases):
    model, tokenizer = opened(bases)
    before, trunk = heads(model), {n: v.clone() for n, v in model.trunk.state_dict().items()}

    fit_heads(model, tokenizer, TRAIN, 32, ("sentiment",))

    changed = {name for name, value in heads(model).items() if not torch.equal(value, before[name])}
    assert changed == {"sentiment_head.weight", "sentiment_head.bias"}
    assert all(torch.equal(value, trunk[n]) for n, value in model.trunk.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_head_without_labels_is_left_as_it_is(bases):
    model, tokenizer = opened(bases)
    before = heads(model)

    fit_heads(model, tokenizer, [Example(e.text, e.topic) for e in TRAIN], 32)

    assert torch.equal(model.sentiment_head.weight, before["sentiment_head.weight"])
    assert not torch.equal(model.topic_head.weight, before["topic_head.weight"])


@pytest.mark.parametrize(
    "rows",
    [
        [Example("Oil falls", 0, 0)],
        [Example("Oil falls", 0, 0), Example("Oil falls", 1, 1)],
        [Example("", 0, 0), Example("loss " * 20_000, 1, 2)],
    ],
)
def test_few_or_odd_rows_give_finite_heads(bases, rows):
    model, tokenizer = opened(bases)

    fit_heads(model, tokenizer, rows, 32)

    assert all(value.isfinite().all() for value in heads(model).values())
