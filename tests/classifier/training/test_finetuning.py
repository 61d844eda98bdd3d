import math

import numpy as np
import pytest
import torch
from support import watching
from support.tiny_bases import KINDS, write_base
from support.watching import StoppedError
from transformers import EvalPrediction, TrainingArguments

from classifier.data.datasets import DatasetError, Example
from classifier.engine import Engine
from classifier.evaluation.scores import evaluate
from classifier.labels import SENTIMENTS, UNLABELLED, Labels
from classifier.model import open_base, save_weights
from classifier.recipe import Recipe
from classifier.training.finetuning import finetune
from classifier.training.losses import direction_loss, masked_loss, soft_loss
from classifier.training.progress import Progress, forget_other_run, last_state
from classifier.training.strategies import StrategyError
from classifier.training.trainer import (
    EncodedExamples,
    LossSettings,
    RightPadding,
    SoftLabels,
    TwoHeadedTrainer,
    measure,
)

pytestmark = pytest.mark.usefixtures("one_thread")

NONE = UNLABELLED
LABELS = Labels(("Oil", "Gold", "Bank"), SENTIMENTS)
VERBS = ("falls", "stays", "rises")
EXAMPLES = [
    Example(
        f"{noun} {verb} in week {week} of the year",
        **({"topic": topic} if week % 2 else {"sentiment": sentiment}),
    )
    for week in range(12)
    for topic, noun in enumerate(LABELS.topics)
    for sentiment, verb in enumerate(VERBS)
]
DEVELOPMENT, TRAIN = EXAMPLES[:18], EXAMPLES[18:]
TEXTS = [example.text for example in EXAMPLES]
QUICK = Recipe(batch_texts=16, learning_rate=5e-3, epochs=2, precision="fp32")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "gpt2", "gpt2", TEXTS, width=32)


class Watch(watching.Watch):
    """Rates, metrics and weights too."""

    def __init__(self, fail_after=None):
        super().__init__(fail_after)
        self.rates, self.metrics, self.weights = [], [], []

    def on_step_end(self, args, state, control, optimizer=None, **_):
        self.rates.append(optimizer.param_groups[0]["lr"])
        super().on_step_end(args, state, control)

    def on_evaluate(self, args, state, control, metrics=None, model=None, **_):
        self.metrics.append(metrics)
        self.weights.append({n: value.clone() for n, value in model.state_dict().items()})


def tune(base, output, recipe=QUICK, train=TRAIN, development=DEVELOPMENT, watch=None, **options):
    """Fine-tune a newly opened base; the model, and what was seen of it."""
    watch = watch or Watch()
    torch.manual_seed(recipe.seed)
    model, tokenizer, _ = open_base(str(base), options.pop("labels", LABELS), recipe.dropout)
    finetune(model, tokenizer, train, development, output, recipe, callbacks=[watch], **options)
    return model, tokenizer, watch


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """A fine-tune that is long enough to learn which words decide, and an engine on its weights."""
    folder = tmp_path_factory.mktemp("trained")
    model, tokenizer, watch = tune(base, folder / "work", QUICK.model_copy(update={"epochs": 8}))
    save_weights(model, tokenizer, folder / "weights")
    return model, Engine(folder / "weights", "cpu"), watch


def same(one, other, **tolerance):
    return all(
        torch.allclose(value, other.state_dict()[name], **tolerance)
        for name, value in one.state_dict().items()
    )


def test_it_learns_which_words_decide(trained):
    scores = {score.head: score for score in evaluate(trained[1], DEVELOPMENT)}

    assert scores["topic"].accuracy > 0.9
    assert scores["sentiment"].accuracy > 0.9


def test_every_loss_on_the_way_is_finite_and_they_fall(trained):
    losses = trained[2].losses

    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


def test_what_was_trained_is_what_is_served(trained):
    model, engine, _ = trained
    batch = RightPadding(1)(
        [EncodedExamples(engine.encode(TEXTS[:5]), EXAMPLES[:5])[i] for i in range(5)]
    )
    engine.model.float()

    with torch.inference_mode():
        logits = model.logits(batch["input_ids"], batch["lengths"])

    for mine, theirs in zip(logits, engine.logits(TEXTS[:5]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gpt2"])
@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_bases_of_other_kinds_are_trained_saved_and_served(tmp_path, kind, strategy):
    write_base(tmp_path / "base", kind, TEXTS)
    recipe = Recipe(strategy=strategy, epochs=1, batch_texts=16, learning_rate=5e-3)

    model, tokenizer, watch = tune(tmp_path / "base", tmp_path / "work", recipe)
    save_weights(model, tokenizer, tmp_path / "weights")

    assert all(map(math.isfinite, watch.losses))
    engine = Engine(tmp_path / "weights", "cpu")
    assert engine.labels == LABELS
    assert {p.topic for p in engine.score(TEXTS)} <= set(LABELS.topics)


def test_the_best_epoch_is_kept(base, tmp_path):
    wild = Recipe(
        batch_texts=8, learning_rate=0.05, epochs=6, schedule="constant", metric="accuracy",
        weight_decay=0, precision="fp32",
    )  # fmt: skip

    model, _, watch = tune(base, tmp_path, wild)

    measured = [metrics["eval_accuracy"] for metrics in watch.metrics]
    best = measured.index(max(measured))
    assert len(measured) == 6
    assert best < 5, measured
    for name, value in model.state_dict().items():
        assert torch.equal(value, watch.weights[best][name])


@pytest.mark.parametrize("metric", ["loss", "topic_macro_f1", "sentiment_accuracy"])
def test_the_best_epoch_is_best_in_what_was_asked_for(base, tmp_path, metric):
    recipe = QUICK.model_copy(update={"metric": metric, "epochs": 3, "learning_rate": 0.03})

    model, _, watch = tune(base, tmp_path, recipe)

    measured = [metrics[f"eval_{metric}"] for metrics in watch.metrics]
    best = measured.index(min(measured) if metric == "loss" else max(measured))
    for name, value in model.state_dict().items():
        assert torch.equal(value, watch.weights[best][name])


def test_it_stops_early_when_nothing_is_gained(base, tmp_path):
    idle = QUICK.model_copy(update={"learning_rate": 1e-12, "patience": 2, "epochs": 9})

    _, _, watch = tune(base, tmp_path, idle)

    assert len(watch.metrics) == 3


def test_a_run_that_was_ended_goes_on_and_comes_to_the_same(base, tmp_path):
    recipe = QUICK.model_copy(update={"epochs": 4, "dropout": 0.3})
    whole, _, undisturbed = tune(base, tmp_path / "whole", recipe)
    steps = undisturbed.steps[-1] // 4
    with pytest.raises(StoppedError):
        tune(base, tmp_path / "ended", recipe, watch=Watch(fail_after=2 * steps + 3))
    (tmp_path / "ended" / f"checkpoint-{3 * steps}").mkdir()  # the kill came while it was saved

    resumed, _, watch = tune(base, tmp_path / "ended", recipe)

    assert watch.steps == undisturbed.steps[2 * steps :]
    assert watch.rates == pytest.approx(undisturbed.rates[2 * steps :])
    assert same(resumed, whole, rtol=1e-4, atol=1e-6)


def test_patience_is_not_renewed_by_a_kill(base, tmp_path):
    idle = QUICK.model_copy(update={"learning_rate": 1e-12, "patience": 3, "epochs": 9})
    with pytest.raises(StoppedError):
        tune(base, tmp_path, idle, watch=Watch(fail_after=20))

    _, _, watch = tune(base, tmp_path, idle)

    assert watch.steps[-1] == 4 * math.ceil(len(TRAIN) / 16)


def test_the_states_of_another_run_are_forgotten(tmp_path):
    folder = tmp_path / "steps"
    assert last_state(folder) is None
    for run, kept in (("one", False), ("one", True), ("two", False), ("two", True)):
        forget_other_run(folder, run)
        assert (folder / "checkpoint-7" / "trainer_state.json").exists() is kept
        (folder / "checkpoint-7").mkdir(exist_ok=True)
        (folder / "checkpoint-7" / "trainer_state.json").write_text("{}")

    (folder / "checkpoint-11").mkdir()
    assert last_state(folder) == str(folder / "checkpoint-7")
    (folder / "checkpoint-11" / "trainer_state.json").write_text("{}")
    assert last_state(folder) == str(folder / "checkpoint-11")


def test_progress_is_told_step_by_step_with_the_newest_figures(base, tmp_path):
    told = []
    watch = Progress(lambda done, total, figures: told.append((done, total, dict(figures))))

    tune(base, tmp_path, watch=watch)

    steps = 2 * math.ceil(len(TRAIN) / 16)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {total for _, total, _ in told} == {steps}
    assert {done for done, _, _ in told} == set(range(1, steps + 1))
    assert {"eval_loss", "eval_macro_f1"} <= set(told[-1][2])


def test_accumulated_gradients_are_those_of_the_larger_batch(base, tmp_path):
    plain = Recipe(
        optimizer="sgd", momentum=0, learning_rate=0.5, weight_decay=0, dropout=0, epochs=1,
        schedule="constant", warmup_share=0, precision="fp32", batch_texts=15,
    )  # fmt: skip
    split = plain.model_copy(update={"batch_texts": 5, "accumulate": 3})

    large, _, one = tune(base, tmp_path / "one", plain)
    small, _, other = tune(base, tmp_path / "other", split)

    assert one.steps == other.steps
    assert same(large, small, rtol=1e-3, atol=1e-5)


def test_the_seed_decides_the_outcome(base, tmp_path):
    models = [
        tune(base, tmp_path / str(i), QUICK.model_copy(update={"seed": seed, "epochs": 1}))[0]
        for i, seed in enumerate((1, 1, 2))
    ]

    assert same(models[0], models[1], rtol=0, atol=0)
    assert not same(models[0], models[2], rtol=1e-3, atol=1e-3)


def test_half_precision_trains_whole_weights(base, tmp_path):
    one, other = (
        tune(base, tmp_path / p, QUICK.model_copy(update={"precision": p, "epochs": 1}))
        for p in ("bf16", "fp32")
    )

    assert {value.dtype for value in one[0].state_dict().values()} == {torch.float32}
    assert all(map(math.isfinite, one[2].losses))
    assert not same(one[0], other[0], rtol=0, atol=0)
    assert one[2].losses == pytest.approx(other[2].losses, rel=0.05)


@pytest.mark.parametrize(
    "change",
    [
        {"label_smoothing": 0.2},
        {"class_weights": True},
        {"dropout": 0.5},
        {"trunk_dropout": 0.5},
        {"weight_decay": 1.0},
        {"head_factor": 5.0},
        {"optimizer": "sgd"},
        {"warmup_share": 0.5},
    ],
)
def test_every_choice_of_the_recipe_changes_the_outcome(base, tmp_path, change):
    uneven = TRAIN[:40]
    usual = QUICK.model_copy(update={"epochs": 1, "dropout": 0.0})

    one = tune(base, tmp_path / "one", usual, uneven)[0]
    other = tune(base, tmp_path / "other", usual.model_copy(update=change), uneven)[0]

    assert not same(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "last"), [("constant", 5e-3), ("linear", 0.0), ("cosine", 0.0)]
)
def test_the_learning_rate_warms_up_and_follows_its_schedule(base, tmp_path, schedule, last):
    recipe = QUICK.model_copy(update={"schedule": schedule, "warmup_share": 0.4, "epochs": 2})

    rates = tune(base, tmp_path, recipe)[2].rates

    highest = rates.index(max(rates))
    assert max(rates) == pytest.approx(5e-3)
    assert highest in {3, 4}
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[0] < 3e-3
    assert rates[-1] == pytest.approx(last, abs=2e-4)


def test_a_part_of_an_epoch_is_measured_too(base, tmp_path):
    _, _, watch = tune(base, tmp_path, QUICK.model_copy(update={"epochs": 0.4}))

    assert len(watch.steps) == 3
    assert len(watch.metrics) == 1


def test_a_text_of_a_hundred_thousand_characters_and_an_empty_one_are_trained_on(base, tmp_path):
    odd = [
        Example("loss " * 20_000, 0, 0),
        Example("", 1, 1),
        *TRAIN[:20],
        Example("📉" * 99, 2, 2),
    ]

    _, _, watch = tune(base, tmp_path, QUICK, odd)

    assert all(map(math.isfinite, watch.losses))


@pytest.mark.parametrize("head", ["topic", "sentiment"])
def test_rows_with_labels_of_one_head_train_that_head_alone(base, tmp_path, head):
    train, development = (
        [row for row in rows if getattr(row, head) != NONE] for rows in (TRAIN, DEVELOPMENT)
    )
    other = {"topic": "sentiment", "sentiment": "topic"}[head]
    recipe = QUICK.model_copy(update={"epochs": 1, "weight_decay": 0.0})
    torch.manual_seed(recipe.seed)
    start, *_ = open_base(str(base), LABELS, 0.0)

    model, _, watch = tune(base, tmp_path, recipe, train, development)

    assert torch.equal(*(getattr(m, f"{other}_head").weight for m in (model, start)))
    assert not torch.equal(*(getattr(m, f"{head}_head").weight for m in (model, start)))
    assert f"eval_{other}_accuracy" not in watch.metrics[0]
    assert watch.metrics[0]["eval_macro_f1"] == watch.metrics[0][f"eval_{head}_macro_f1"]


ONLY_MOODS = [row for row in DEVELOPMENT if row.topic == NONE]


@pytest.mark.parametrize(
    ("change", "train", "development", "error", "says"),
    [
        ({}, [], DEVELOPMENT, DatasetError, "no labelled rows"),
        ({}, [Example("a", 1), Example("b", 1)], DEVELOPMENT, DatasetError, "every topic label"),
        ({}, [Example("a", 1), Example("b", 0)], DEVELOPMENT, DatasetError, "has the topic 'Bank'"),
        ({}, TRAIN, [], DatasetError, "no development row has a topic or a sentiment"),
        ({"metric": "topic_accuracy"}, TRAIN, ONLY_MOODS, DatasetError, "row has a topic, so"),
        ({"strategy": "last", "blocks": 9}, TRAIN, DEVELOPMENT, StrategyError, "has 2 blocks"),
    ],
)
def test_what_cannot_work_is_told_before_training(
    base, tmp_path, change, train, development, error, says
):
    watch = Watch()

    with pytest.raises(error, match=says):
        tune(base, tmp_path, QUICK.model_copy(update=change), train, development, watch)

    assert not watch.steps


def test_examples_are_padded_on_the_right_to_the_longest():
    soft = SoftLabels(
        np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float16)),
        np.zeros((2, 3), np.float16),
        np.ones((2, 4), np.float16),
    )
    examples = [Example("a", 1), Example("b", sentiment=2)]
    rows = EncodedExamples([[5, 6, 7], [8]], examples, soft)

    batch = RightPadding(9)([rows[0], rows[1]])

    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["lengths"].tolist() == [3, 1]
    assert batch["topic"].tolist() == [1, NONE]
    assert batch["sentiment"].tolist() == [NONE, 2]
    assert batch["soft_topic"].dtype == torch.float32
    assert batch["soft_topic"].exp()[1].tolist() == pytest.approx([0.1, 0.9], rel=1e-2)
    assert (batch["soft_sentiment"].shape, batch["soft_vector"].shape) == ((2, 3), (2, 4))


@pytest.fixture(scope="module")
def batch(base):
    model, tokenizer, _ = open_base(str(base), LABELS, 0.0)
    model.projection = torch.nn.Linear(32, 4)
    generator = np.random.default_rng(1)
    soft = SoftLabels(
        np.log(generator.dirichlet([1, 1, 1], 6)).astype(np.float16),
        np.log(generator.dirichlet([1, 1, 1], 6)).astype(np.float16),
        generator.normal(size=(6, 4)).astype(np.float16),
    )
    examples = [Example(text, topic=i % 3 if i % 2 else NONE, sentiment=i % 3 if i < 4 else NONE)
                for i, text in enumerate(TEXTS[:6])]  # fmt: skip
    rows = EncodedExamples(tokenizer(TEXTS[:6])["input_ids"], examples, soft)
    return model.eval(), RightPadding(1)([rows[i] for i in range(6)])


def loss(model, inputs, tmp_path, **settings):
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    trainer = TwoHeadedTrainer(model=model, args=arguments, losses=LossSettings(**settings))
    value, outputs = trainer.compute_loss(model, inputs, return_outputs=True)
    assert trainer.compute_loss(model, inputs).item() == value.item()
    return value.item(), outputs


def test_the_loss_of_hard_labels_is_that_of_both_heads(batch, tmp_path):
    model, inputs = batch
    inputs = {name: value for name, value in inputs.items() if not name.startswith("soft")}
    weights = torch.tensor([1.0, 2.0, 0.5])

    found, outputs = loss(model, inputs, tmp_path, smoothing=0.1, topic_weights=weights)

    expected = masked_loss(outputs["topic"], inputs["topic"], 0.1, weights) + masked_loss(
        outputs["sentiment"], inputs["sentiment"], 0.1
    )
    assert found == pytest.approx(expected.item())
    assert list(outputs) == ["loss", "topic", "sentiment"]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("direction", [0.0, 2.0])
def test_the_loss_of_soft_labels_is_weighed_against_that_of_hard_ones(
    batch, tmp_path, share, direction
):
    model, inputs = batch

    found, outputs = loss(
        model, inputs, tmp_path, hard_share=share, temperature=3.0, direction=direction
    )

    expected = sum(
        share * masked_loss(outputs[head], inputs[head]).item()
        + (1 - share) * soft_loss(outputs[head], inputs[f"soft_{head}"], 3.0).item()
        for head in ("topic", "sentiment")
    )
    vectors = model(inputs["input_ids"], inputs["lengths"])["vector"]
    expected += direction * direction_loss(vectors, inputs["soft_vector"]).item()
    assert found == pytest.approx(expected, rel=1e-5)


def measured(topics, sentiments):
    """`measure` of logits that are sure of the first of each pair, the second being the truth."""
    logits = tuple(np.eye(3)[[said for said, _ in pairs]] for pairs in (topics, sentiments))
    targets = tuple(np.array([true for _, true in pairs]) for pairs in (topics, sentiments))
    return measure(EvalPrediction(predictions=logits, label_ids=targets))


def test_the_measures_are_means_over_the_heads_of_labelled_rows():
    found = measured([(0, 0), (1, 1), (1, NONE)], [(2, 2), (1, 2), (0, 0)])

    assert found["topic_accuracy"] == found["topic_macro_f1"] == 1
    assert found["sentiment_accuracy"] == pytest.approx(2 / 3)
    assert found["sentiment_macro_f1"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert found["accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["macro_f1"] == pytest.approx((1 + found["sentiment_macro_f1"]) / 2)


def test_a_head_without_labels_is_not_measured():
    found = measured([(0, NONE)], [(2, 2)])

    assert set(found) == {"sentiment_accuracy", "sentiment_macro_f1", "accuracy", "macro_f1"}
    assert found["accuracy"] == 1
