"""The mean of weights of one line; and what has none."""

import shutil
from datetime import date

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_weights import write_weights

from classifier.data.datasets import DatasetError, Example, make_splits, share_of
from classifier.data.rows import Rows
from classifier.engine import Engine
from classifier.evaluation.card import read_card
from classifier.labels import Labels
from classifier.model import HEADS_FILE, WeightsError, load_weights
from classifier.training.averaging import average_weights

TOPICS = {"Oil": "barrel", "Bank": "loan"}
MOODS = {"negative": "falls", "positive": "rises"}
TRUNK_FILE = "model.safetensors"
EXAMPLES = [
    Example(f"the {noun} {verb} in week {week}", topic, mood)
    for topic, noun in enumerate(TOPICS.values())
    for mood, verb in enumerate(["falls", "says", "rises"])
    for week in range(30)
]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("first") / "first", TOPICS, MOODS)


@pytest.fixture
def rows():
    test = [row for row in EXAMPLES if share_of(row.text) < 0.2]
    return Rows(make_splits(EXAMPLES, {"own": test}, 0.2), Labels(tuple(TOPICS)))


def moved(first, folder, seed):
    """The same weights, each number somewhat elsewhere."""
    shutil.copytree(first, folder)
    noise = torch.Generator().manual_seed(seed)
    for name in (TRUNK_FILE, HEADS_FILE):
        state = load_file(folder / name)
        for key, values in state.items():
            state[key] = values + 0.02 * torch.randn(values.shape, generator=noise)
        save_file(state, folder / name, metadata={"format": "pt"})
    return folder


def averaged(parts, rows, output):
    return average_weights(parts, rows, output, date(2026, 3, 1), [f"average to {output.name}"])


def test_every_number_of_the_trunk_is_the_mean_of_theirs(tmp_path, first, rows):
    parts = [first, moved(first, tmp_path / "one", 1), moved(first, tmp_path / "two", 2)]

    averaged(parts, rows, tmp_path / "mean")

    given = [load_weights(part)[0].trunk.state_dict() for part in parts]
    made = load_weights(tmp_path / "mean")[0].trunk.state_dict()
    assert made.keys() == given[0].keys()
    for name, values in made.items():
        wanted = torch.stack([state[name] for state in given]).mean(0)
        torch.testing.assert_close(values, wanted, rtol=2**-8, atol=1e-6)


def test_it_is_calibrated_and_as_good_as_they_are(tmp_path, first, rows):
    made = averaged([first, moved(first, tmp_path / "one", 1)], rows, tmp_path / "mean")

    assert Engine(tmp_path / "mean", "cpu").version == made.version
    assert {c.head for c in made.calibrations} == {"topic", "sentiment"}
    assert min(score.accuracy for score in made.before["own"]) > 0.95
    assert min(score.accuracy for score in made.after["own"]) > 0.95
    assert not [*tmp_path.glob("*.work")]


def test_the_card_says_what_it_is_the_mean_of(tmp_path, first, rows):
    one = moved(first, tmp_path / "one", 1)
    made = averaged([first, one], rows, tmp_path / "mean")

    averaged([tmp_path / "mean", one, tmp_path / "mean"], rows, tmp_path / "again")

    card, after = read_card(tmp_path / "mean"), read_card(tmp_path / "again")
    assert card["summary"] == "It is the mean of the weights first and one."
    assert card["before"]["is"] == "the first of those that it is the mean of"
    mean = f"mean ({made.version})"
    assert after["summary"] == f"It is the mean of the weights {mean}, one and {mean}."
    assert after["commands"] == ["average to mean", "average to again"]
    assert "mean of the weights" in (tmp_path / "again" / "README.md").read_text()


def other_labels(first, folder):
    return write_weights(folder, {"Oil": "barrel", "Tin": "ingot"}, MOODS)


def other_tokens(first, folder):
    return write_weights(folder, {"Oil": "barrel", "Bank": "lender"}, MOODS)


def other_attention(first, folder):
    shutil.copytree(first, folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"n_head": 2', '"n_head": 4'))
    return folder


@pytest.mark.parametrize(
    ("made", "differ"),
    [
        (other_labels, "labels, tokens, the architecture"),
        (other_tokens, "tokens, the architecture"),
        (other_attention, "the architecture"),
    ],
)
def test_numbers_that_do_not_mean_the_same_have_no_mean(tmp_path, first, rows, made, differ):
    other = made(first, tmp_path / "other")

    with pytest.raises(WeightsError, match=f"other have no mean: they differ in {differ};"):
        averaged([first, other], rows, tmp_path / "mean")

    assert not (tmp_path / "mean").exists()


def test_dropout_does_not_matter(tmp_path, first, rows):
    config = shutil.copytree(first, tmp_path / "dropped") / "config.json"
    dropped = config.read_text().replace('"resid_pdrop": 0.0', '"resid_pdrop": 0.1')
    assert dropped != config.read_text()
    config.write_text(dropped)

    averaged([first, tmp_path / "dropped"], rows, tmp_path / "mean")

    assert (tmp_path / "mean" / TRUNK_FILE).exists()


def test_one_folder_has_no_mean(tmp_path, first, rows):
    with pytest.raises(WeightsError, match="2 folders of weights or more"):
        averaged([first], rows, tmp_path / "mean")


def test_rows_to_calibrate_on_are_needed(tmp_path, first, rows):
    rows.splits.development.clear()

    with pytest.raises(DatasetError, match="no development rows"):
        averaged([first, first], rows, tmp_path / "mean")
