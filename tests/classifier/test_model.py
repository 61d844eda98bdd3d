import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_bases import CAUSAL, KINDS, write_base
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

from classifier.labels import SENTIMENTS, Labels
from classifier.model import (
    HEADS_FILE,
    LABELS_FILE,
    TwoHeadedModel,
    WeightsError,
    encode,
    is_encoder,
    load_tokenizer,
    load_weights,
    open_base,
    read_labels,
    save_weights,
)
from classifier.tokenizer import train_tokenizer

LABELS = Labels(("Macro", "Oil", "Gold"), ("down", "flat", "up"))


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
    return TwoHeadedModel(GPT2Model(config), labels).eval()


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


def test_the_training_step_gives_the_logits_of_both_heads_with_dropout_before_them():
    model, batch = tiny(), padded(tokens(4, 7), 8)
    logits = model.logits(*batch)

    step = model(*batch)

    assert set(step) == {"topic", "sentiment"}
    assert torch.equal(step["topic"], logits[0])
    assert torch.equal(step["sentiment"], logits[1])
    model.dropout.train()
    assert not torch.equal(model(*batch)["topic"], logits[0])


def test_the_training_step_projects_the_vector_to_that_of_a_teacher():
    model, batch = tiny(), padded(tokens(4, 7), 8)
    model.projection = torch.nn.Linear(32, 5)

    assert torch.equal(model(*batch)["vector"], model.projection(model.read(*batch)))


def test_dividing_the_heads_divides_the_logits_of_each_by_its_temperature():
    model, batch = tiny(), padded(tokens(3, 9), 16)
    topic, sentiment = model.logits(*batch)

    model.divide_heads(2.0, 0.5)

    torch.testing.assert_close(model.logits(*batch), (topic / 2, sentiment * 2))


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


TEXTS = (
    "oil falls today", "gold", "the price of oil stays as it is after all", "",
    "see https://t.co/Ab by @some_body",
)  # fmt: skip


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {kind: write_base(folder / kind, kind, TEXTS * 5) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_change_the_logits_of_any_base(bases, kind):
    model, tokenizer, _ = open_base(str(bases[kind]), LABELS, 0.1)
    rows = [torch.tensor(ids) for ids in encode(tokenizer, TEXTS, 24, encoder=model.encoder)]
    model.eval()
    alone = torch.cat([logits_of(model, [row], len(row)) for row in rows])

    for fill in (0, 1, 9):
        together = logits_of(model, rows, 24, fill)
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_an_encoder_is_read_by_the_mean_over_its_real_tokens(bases):
    model, tokenizer, _ = open_base(str(bases["bert"]), LABELS, 0.0)
    model.eval()
    (ids,) = encode(tokenizer, ["oil falls today"], 24, encoder=True)
    batch = padded([torch.tensor(ids)], 24)

    with torch.inference_mode():
        hidden = model.trunk(input_ids=torch.tensor([ids])).last_hidden_state

        torch.testing.assert_close(model.read(*batch), hidden.mean(dim=1))
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "oil", "falls", "today", "[SEP]"]
    long = encode(tokenizer, ["oil falls today"], 4, encoder=True)
    assert tokenizer.convert_ids_to_tokens(long[0]) == ["[CLS]", "oil", "falls", "[SEP]"]


@pytest.mark.parametrize(("kind", "expected"), [*((k, False) for k in CAUSAL), ("bert", True)])
def test_encoders_are_told_from_causal_models(kind, expected):
    assert is_encoder(kind) is expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_base_is_opened_with_new_heads_and_its_weights_come_back(bases, kind, tmp_path):
    model, tokenizer, new = open_base(str(bases[kind]), LABELS, 0.1)
    model.eval()
    rows = [torch.tensor(ids) for ids in encode(tokenizer, TEXTS, 24, encoder=model.encoder)]
    before = logits_of(model, rows, 24)

    save_weights(model, tokenizer, tmp_path, torch.float32)
    loaded, its_tokenizer = load_weights(tmp_path)

    assert new == ("topic", "sentiment")
    assert loaded.encoder is (kind == "bert")
    assert encode(its_tokenizer, TEXTS, 24, encoder=loaded.encoder) == [r.tolist() for r in rows]
    torch.testing.assert_close(logits_of(loaded, rows, 24), before)


@pytest.mark.parametrize(
    ("topics", "sentiments", "new"),
    [
        (LABELS.topics, LABELS.sentiments, ()),
        (LABELS.topics, SENTIMENTS, ("sentiment",)),
        (("Macro", "Gold", "Oil"), LABELS.sentiments, ("topic",)),
        (("Macro",), SENTIMENTS, ("topic", "sentiment")),
    ],
)
def test_a_head_goes_on_where_the_names_are_the_same(tokenizer, tmp_path, topics, sentiments, new):
    known = tiny()
    save_weights(known, tokenizer, tmp_path)

    model, _, told = open_base(str(tmp_path), Labels(topics, sentiments), 0.3)

    assert told == new
    assert model.dropout.p == 0.3
    for head in ("topic", "sentiment"):
        ours, theirs = (getattr(m, f"{head}_head").weight for m in (model, known))
        assert (ours.shape == theirs.shape and torch.equal(ours, theirs)) is (head not in new)
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, known.trunk.state_dict()[name])


def strip(folder, *names):
    """Take special tokens away from a saved tokenizer."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in settings.items() if k not in names}))


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_base_without_a_padding_token_pads_with_its_end(tmp_path, kind):
    folder = write_base(tmp_path / kind, kind, TEXTS * 5)
    strip(folder, "pad_token")
    # Qwen2's own tokenizer has a padding token whatever the file says; it has no embedding here.

    _, tokenizer, _ = open_base(str(folder), LABELS, 0.1)

    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "right")


def test_a_padding_token_without_an_embedding_is_not_used(tmp_path):
    folder = write_base(tmp_path / "base", "gpt2", TEXTS * 5)
    tokenizer = load_tokenizer(str(folder))
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)

    model, opened, _ = open_base(str(folder), LABELS, 0.1)

    assert tokenizer.pad_token_id >= model.trunk.config.vocab_size
    assert opened.pad_token_id == opened.eos_token_id


def test_an_end_token_without_an_embedding_is_told(tmp_path):
    folder = write_base(tmp_path / "base", "gpt2", TEXTS * 5)
    tokenizer = load_tokenizer(str(folder))
    tokenizer.add_special_tokens({"eos_token": "[EOS]"})
    tokenizer.save_pretrained(folder)

    with pytest.raises(WeightsError, match="they do not belong together"):
        open_base(str(folder), LABELS, 0.1)


def test_a_tokenizer_without_an_end_ends_with_its_separator(bases):
    tokenizer = load_tokenizer(str(bases["bert"]))

    assert (tokenizer.eos_token, tokenizer.pad_token) == ("[SEP]", "[PAD]")


def test_a_tokenizer_with_neither_end_nor_separator_is_told(tmp_path):
    folder = write_base(tmp_path / "endless", "gpt2", TEXTS * 5)
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "oil": 1}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder)

    with pytest.raises(WeightsError, match=r"the tokenizer of .*endless has no end token"):
        open_base(str(folder), LABELS, 0.1)


@pytest.mark.parametrize(
    "damage",
    [
        cut("model.safetensors"),
        remove("model.safetensors"),
        remove("config.json"),
        remove("tokenizer.json"),
        overwrite("config.json", b'{"model_type": "no such type"}'),
        overwrite("config.json", b"{"),
        overwrite("tokenizer.json", b"{}"),
    ],
)
def test_a_base_that_is_damaged_is_told_by_its_name(tmp_path, damage):
    folder = write_base(tmp_path / "broken", "gpt2", TEXTS * 5)
    damage(folder)

    with pytest.raises(WeightsError, match=r"the base '.*broken' cannot be read"):
        open_base(str(folder), LABELS, 0.1)


@pytest.mark.parametrize("damage", [cut(HEADS_FILE), overwrite(LABELS_FILE, b"{")])
def test_weights_to_go_on_from_that_are_damaged_are_told(tokenizer, tmp_path, damage):
    save_weights(tiny(), tokenizer, tmp_path / "broken")
    damage(tmp_path / "broken")

    with pytest.raises(WeightsError, match="broken"):
        open_base(str(tmp_path / "broken"), LABELS, 0.1)


def test_labels_are_read_without_the_weights(tokenizer, tmp_path):
    save_weights(tiny(), tokenizer, tmp_path)
    (tmp_path / "model.safetensors").unlink()

    assert read_labels(tmp_path) == LABELS
