import json
import math

import pytest
import torch
from support.tiny_bases import CAUSAL, write_base
from support.watching import StoppedError, Watch
from transformers import AutoModelForCausalLM, TrainerCallback

from classifier.data.datasets import DatasetError
from classifier.labels import Labels
from classifier.model import WeightsError, load_tokenizer, open_base
from classifier.recipe import RecipeError
from classifier.tokenizer import train_tokenizer
from classifier.training.embeddings import EmbeddingsError
from classifier.training.pretraining import BASE_RECORD, Blocks, PretrainingSettings, pretrain

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = [
    f"{noun} {verb} in week {week} of the year"
    for noun in ("Oil", "Gold", "The bank")
    for verb in ("falls", "stays", "rises")
    for week in range(40)
]
SHAPE = {
    "layers": 2, "width": 32, "heads": 2, "vocabulary": 320, "context": 16, "batch_blocks": 16,
    "precision": "fp32",
}  # fmt: skip


class SaveOften(TrainerCallback):
    """Saves a state every five steps, as a long run does every five hundred."""

    def on_step_end(self, args, state, control, **_):
        control.should_save = state.global_step % 5 == 0


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A base from scratch, with what was seen of its training, and its loss."""
    folder, watch = tmp_path_factory.mktemp("scratch") / "base", Watch()
    loss = pretrain(
        TEXTS * 3, folder, PretrainingSettings(**SHAPE, epochs=1), [watch], "tapewatch pretrain"
    )
    return folder, watch, loss


def test_a_base_from_scratch_is_better_than_chance(scratch):
    _, watch, loss = scratch

    assert 0 < loss < math.log(320) - 0.5
    assert watch.losses
    assert all(map(math.isfinite, watch.losses))


def test_a_base_is_ready_for_fine_tuning(scratch):
    folder, *_ = scratch

    model, tokenizer, new = open_base(str(folder), Labels(), 0.1)

    assert new == ("topic", "sentiment")
    config = model.trunk.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (2, 32, 2)
    assert (config.max_position_embeddings, tokenizer.model_max_length) == (16, 16)
    assert config.vocab_size == len(tokenizer) <= 320


def test_the_record_says_how_it_was_made(scratch):
    folder, _, loss = scratch
    record = json.loads((folder / BASE_RECORD).read_text())

    assert record["texts"] == len(TEXTS) * 3
    assert record["command"] == "tapewatch pretrain"
    assert record["nats_per_token"] == pytest.approx(loss, abs=1e-4)
    assert {name: record[name] for name in SHAPE} == SHAPE


def test_no_working_files_are_left(scratch):
    folder, *_ = scratch

    assert {path.name for path in folder.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "pretraining.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_base_goes_on_with_other_texts(tmp_path, kind):
    """The loss falls on texts of the new kind; shape, vocabulary and context stay its own."""
    write_base(tmp_path / "base", kind, TEXTS, context=12)
    goes_on = PretrainingSettings(
        base=str(tmp_path / "base"), epochs=4, learning_rate=5e-3, context=64, layers=9,
        precision="fp32",
    )  # fmt: skip
    watch = Watch()

    loss = pretrain(TEXTS, tmp_path / "more", goes_on, [watch])

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "more")
    assert (model.config.num_hidden_layers, model.config.max_position_embeddings) == (2, 12)
    theirs, ours = (load_tokenizer(str(tmp_path / name)) for name in ("base", "more"))
    assert ours(TEXTS[:9])["input_ids"] == theirs(TEXTS[:9])["input_ids"]
    assert loss < watch.losses[0] - 0.5
    record = json.loads((tmp_path / "more" / BASE_RECORD).read_text())
    assert [record[name] for name in ("context", "layers", "width", "heads")] == [12, 2, 16, 2]


def test_word_embeddings_start_from_those_of_an_encoder(tmp_path):
    encoder = write_base(tmp_path / "encoder", "bert", TEXTS, width=48)
    once = {**SHAPE, "epochs": 0.01, "learning_rate": 1e-9}
    plain, started = tmp_path / "plain", tmp_path / "started"

    pretrain(TEXTS, plain, PretrainingSettings(**once))
    pretrain(TEXTS, started, PretrainingSettings(**once, embeddings=str(encoder)))

    words, usual = (
        AutoModelForCausalLM.from_pretrained(f).transformer.wte.weight for f in (started, plain)
    )
    assert not torch.allclose(words, usual, atol=1e-3)
    assert words.std().item() == pytest.approx(usual.std().item(), rel=0.05)
    names = load_tokenizer(str(started)).convert_tokens_to_ids
    falls, rises, other = (words[names(name)] for name in ("Ġfalls", "Ġrises", "Ġyear"))
    assert torch.isfinite(words).all()
    assert not torch.equal(falls, rises)
    assert not torch.equal(falls, other)


def test_a_run_that_was_ended_goes_on_and_comes_to_the_same(tmp_path):
    settings = PretrainingSettings(**SHAPE, epochs=2)
    undisturbed = Watch()
    whole = pretrain(TEXTS, tmp_path / "whole", settings, [undisturbed])
    with pytest.raises(StoppedError):
        pretrain(TEXTS, tmp_path / "ended", settings, [SaveOften(), Watch(fail_after=13)])

    watch = Watch()
    resumed = pretrain(TEXTS, tmp_path / "ended", settings, [watch])

    assert watch.steps == undisturbed.steps[10:]
    assert resumed == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("change", [{"seed": 8}, {"width": 16}])
def test_a_run_with_other_settings_begins_anew(tmp_path, change):
    with pytest.raises(StoppedError):
        pretrain(
            TEXTS, tmp_path, PretrainingSettings(**SHAPE, epochs=1),
            [SaveOften(), Watch(fail_after=8)],
        )  # fmt: skip

    watch = Watch()
    pretrain(TEXTS, tmp_path, PretrainingSettings(**{**SHAPE, **change}, epochs=1), [watch])

    assert watch.steps[0] == 1


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_too_few_texts_are_told(tmp_path, count):
    with pytest.raises(DatasetError, match=f"{count} texts are too few: .* a block of 64 tokens"):
        pretrain(TEXTS[:count], tmp_path, PretrainingSettings(**{**SHAPE, "context": 64}))


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"base": "absent"}, WeightsError, r"the base '.*absent' cannot be read"),
        ({"base": "encoder"}, WeightsError, r"encoder is an encoder: it sees"),
        ({"embeddings": "absent"}, WeightsError, r"the base '.*absent' cannot be read"),
        ({"embeddings": "causal"}, EmbeddingsError, r"causal is no encoder"),
        ({"embeddings": "encoder"}, EmbeddingsError, r"is 16 wide, and 32 is asked for"),
    ],
)
def test_a_base_or_an_encoder_that_does_not_fit_is_told(tmp_path, settings, error, says):
    write_base(tmp_path / "encoder", "bert", TEXTS)
    write_base(tmp_path / "causal", "gpt2", TEXTS)
    named = {key: str(tmp_path / name) for key, name in settings.items()}

    with pytest.raises(error, match=says):
        pretrain(TEXTS, tmp_path / "base", PretrainingSettings(**SHAPE, **named))


def test_a_width_that_the_heads_cannot_share_is_told():
    with pytest.raises(RecipeError, match="a width of 32 cannot be shared out among 3 heads"):
        PretrainingSettings(width=32, heads=3)


def test_texts_are_cut_into_blocks_and_the_rest_is_dropped():
    tokenizer = train_tokenizer(["profit falls"] * 5, 300, 8)
    end = tokenizer.eos_token_id
    profit, falls = tokenizer("profit falls", add_special_tokens=False)["input_ids"]

    blocks = Blocks(tokenizer, ["profit falls", "falls", "profit", "falls"], 4)

    assert len(blocks) == 2
    assert blocks.blocks.tolist() == [[profit, falls, end, falls], [end, profit, end, falls]]
    assert torch.equal(blocks[1]["input_ids"], blocks[1]["labels"])
