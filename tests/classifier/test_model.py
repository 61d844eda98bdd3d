import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2Model

from classifier.labels import UNLABELLED, Labels
from classifier.model import (
    HEADS_FILE,
    LABELS_FILE,
    TwoHeadedGPT,
    WeightsError,
    encode,
    load_weights,
    masked_loss,
    save_weights,
)
from classifier.tokenizer import train_tokenizer

LABELS = Labels(("Macro", "Oil", "Gold"), ("down", "flat", "up"))
NONE = UNLABELLED


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["profit of the bank falls"] * 5, 300, 24)


def tiny(vocabulary=300, labels=LABELS, seed=0):
    """A random GPT-2 of two narrow layers with both heads."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=24, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    return TwoHeadedGPT(GPT2Model(config), labels).eval()


def tokens(*lengths, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, 300, (length,), generator=generator) for length in lengths]


def padded(rows, length, fill=1):
    batch = torch.full((len(rows), length), fill)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    return batch, torch.tensor([len(row) for row in rows])


def logits_of(model, rows, length, fill=1):
    with torch.inference_mode():
        return torch.cat(model.logits(*padded(rows, length, fill)), dim=1)


def test_each_head_has_one_logit_a_label():
    topic, sentiment = tiny().logits(*padded(tokens(3, 9), 16))

    assert (topic.shape, sentiment.shape) == ((2, 3), (2, 3))


@pytest.mark.parametrize(("length", "fill"), [(9, 1), (16, 1), (24, 1), (24, 77)])
def test_padding_does_not_change_the_logits(length, fill):
    model, rows = tiny(), tokens(1, 5, 9)
    alone = torch.cat([logits_of(model, [row], len(row)) for row in rows])

    together = logits_of(model, rows, length, fill)

    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_the_last_token_decides_and_what_follows_does_not():
    model, (row,) = tiny(), tokens(9)
    other = torch.cat([row[:-1], (row[-1:] + 1) % 300])

    assert not torch.allclose(logits_of(model, [row], 9), logits_of(model, [other], 9))


@pytest.mark.parametrize("target", [[0, 2, 1], [NONE, 2, 1], [0, NONE, NONE], [NONE, NONE, NONE]])
def test_the_loss_counts_the_labelled_rows_alone(target):
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(2))
    labelled = [row for row, label in enumerate(target) if label != NONE]
    expected = sum(cross_entropy(logits[row], torch.tensor(target[row])).item() for row in labelled)

    assert masked_loss(logits, torch.tensor(target)).item() == pytest.approx(expected / 3)


def test_a_row_without_a_label_gives_a_head_no_gradient():
    model = tiny()
    inputs, lengths = padded(tokens(4, 7), 8)

    loss = model(inputs, lengths, torch.tensor([1, 2]), torch.tensor([NONE, NONE]))["loss"]
    loss.backward()

    assert model.topic_head.weight.grad.abs().sum() > 0
    assert model.sentiment_head.weight.grad.abs().sum() == 0


def test_the_training_step_gives_the_loss_of_both_heads_and_their_logits():
    model = tiny()
    inputs, lengths = padded(tokens(4, 7), 8)
    topic, sentiment = torch.tensor([1, NONE]), torch.tensor([NONE, 0])

    step = model(inputs, lengths, topic, sentiment)

    expected = masked_loss(step["topic"], topic) + masked_loss(step["sentiment"], sentiment)
    assert step["loss"].item() == pytest.approx(expected.item())
    assert torch.isfinite(step["loss"])


def test_saved_weights_come_back_as_they_were_shipped(tokenizer, tmp_path):
    model = tiny()
    original = {name: value.clone() for name, value in model.state_dict().items()}

    save_weights(model, tokenizer, tmp_path / "weights")
    loaded, its_tokenizer = load_weights(tmp_path / "weights")

    assert loaded.labels == LABELS
    assert not loaded.training
    assert its_tokenizer.get_vocab() == tokenizer.get_vocab()
    rounded = model.state_dict()
    assert rounded.keys() == loaded.state_dict().keys()
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, rounded[name])
        assert torch.equal(value, original[name].bfloat16().float())


def test_weights_may_be_saved_whole(tokenizer, tmp_path):
    model = tiny()
    rows = tokens(3, 9)
    before = logits_of(model, rows, 16)

    save_weights(model, tokenizer, tmp_path, torch.float32)

    assert torch.equal(logits_of(load_weights(tmp_path)[0], rows, 16), before)


def remove(name):
    return lambda folder: (folder / name).unlink()


def overwrite(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def change_heads(change):
    def damage(folder):
        heads = load_file(folder / HEADS_FILE)
        change(heads)
        save_file(heads, folder / HEADS_FILE)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        remove(HEADS_FILE),
        remove("model.safetensors"),
        remove("config.json"),
        remove("tokenizer.json"),
        cut(HEADS_FILE),
        cut("model.safetensors"),
        overwrite(HEADS_FILE, b""),
        overwrite(LABELS_FILE, b"{"),
        overwrite(LABELS_FILE, b"[]"),
        overwrite(LABELS_FILE, b"\xff"),
        overwrite(LABELS_FILE, b'{"names": []}'),
        overwrite(LABELS_FILE, b'{"topics": 5}'),
        overwrite(LABELS_FILE, json.dumps({"topics": ["One"]}).encode()),
        overwrite("config.json", b"{"),
        overwrite("tokenizer.json", b"{"),
        change_heads(lambda heads: heads.pop("topic_head.bias")),
        change_heads(lambda heads: heads.update(extra=torch.zeros(1))),
        change_heads(lambda heads: heads.update({"topic_head.bias": torch.zeros(99)})),
    ],
)  # fmt: skip
def test_weights_that_are_incomplete_or_damaged_are_told_by_their_folder(
    tokenizer, tmp_path, damage
):
    save_weights(tiny(), tokenizer, tmp_path / "broken")
    damage(tmp_path / "broken")

    with pytest.raises(WeightsError, match="broken"):
        load_weights(tmp_path / "broken")


def test_a_folder_without_weights_is_told_with_what_to_do(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights in .*absent.*tapewatch train"):
        load_weights(tmp_path / "absent")


@pytest.mark.parametrize(("words", "expected"), [(0, 1), (1, 2), (6, 7), (7, 8), (8, 8), (100, 8)])
def test_a_text_is_cut_and_its_end_token_kept(tokenizer, words, expected):
    (ids,) = encode(tokenizer, ["profit " * words], 8)

    assert len(ids) == expected
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in ids[:-1]


def test_texts_are_encoded_each_for_itself(tokenizer):
    texts = ["profit falls", "", "the bank of profit falls"]

    assert encode(tokenizer, texts, 24) == [encode(tokenizer, [t], 24)[0] for t in texts]
