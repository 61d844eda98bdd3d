import pytest
import torch
from support.tiny_bases import write_base
from transformers import AutoModelForCausalLM

from classifier.engine import Engine
from classifier.labels import Labels
from classifier.model import load_tokenizer, load_trunk, open_base, save_weights
from classifier.recipe import RecipeError
from classifier.tokenizer import train_tokenizer
from classifier.training.pretraining import PretrainingSettings, pretrain
from classifier.training.warm_start import WarmStartError, gpt_from_encoder

TEXTS = ["profit falls at the bank", "sales rise at the mill", "oil stays where it was"] * 800
LAYERS = 2


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    return str(write_base(folder, "bert", TEXTS, layers=3, context=40, units=64))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 340, 32)


@pytest.fixture(scope="module")
def gpt(encoder, tokenizer):
    return gpt_from_encoder(encoder, tokenizer, LAYERS, 32, 0.0).eval()


@torch.no_grad()
def test_its_blocks_do_what_the_encoders_do_but_for_what_comes_later(encoder, gpt):
    bert = load_trunk(encoder).eval()
    ids = torch.randint(0, gpt.config.vocab_size, (4, 9))
    trunk = gpt.transformer
    hidden = trunk.tokens_embed(ids) + trunk.positions_embed(torch.arange(9))
    causal = torch.full((9, 9), float("-inf")).triu(1)[None, None]
    for layer in list(bert.encoder.layer)[:LAYERS]:
        hidden = layer(hidden, causal)

    found = trunk(input_ids=ids).last_hidden_state

    torch.testing.assert_close(found, hidden, atol=5e-3, rtol=5e-3)  # another form of GELU


@torch.no_grad()
def test_a_word_that_both_know_starts_where_the_encoder_has_it(encoder, tokenizer, gpt):
    bert, theirs = load_trunk(encoder), load_tokenizer(encoder)
    words = theirs("profit falls at the bank", return_tensors="pt")["input_ids"]
    ours = tokenizer("profit falls at the bank", return_tensors="pt")["input_ids"]
    assert ours.shape[1] == words.shape[1] - 2, "each word is one token, and theirs are framed"

    expected = bert.embeddings(words)[0, 1:-1]
    trunk = gpt.transformer
    found = trunk.tokens_embed(ours)[0] + trunk.positions_embed(torch.arange(ours.shape[1]))

    assert torch.cosine_similarity(found, expected).min() > 0.95


def test_a_base_without_epochs_is_left_as_it_starts_and_serves(encoder, tmp_path):
    settings = PretrainingSettings(
        layers=LAYERS, vocabulary=340, context=16, epochs=0, blocks_from=encoder
    )

    loss = pretrain(TEXTS, tmp_path / "base", settings)

    made = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    start = gpt_from_encoder(encoder, load_tokenizer(str(tmp_path / "base")), LAYERS, 16, 0.05)
    assert loss is None
    for name, value in start.state_dict().items():
        assert torch.equal(value, made.state_dict()[name]), name
    model, ours, _ = open_base(str(tmp_path / "base"), Labels(), 0.0)
    save_weights(model, ours, tmp_path / "weights")
    engine = Engine(tmp_path / "weights", "cpu")
    assert engine.version.startswith(f"openai-gpt-{LAYERS}x16-")
    assert engine.score(TEXTS[:3]) == [engine.score([text])[0] for text in TEXTS[:3]]


def test_its_language_modelling_can_be_trained(encoder, tmp_path):
    short, long = (
        PretrainingSettings(
            layers=1, vocabulary=340, context=16, epochs=epochs, blocks_from=encoder, dropout=0.0
        )
        for epochs in (0.1, 2)
    )

    assert pretrain(TEXTS, tmp_path / "long", long) < pretrain(TEXTS, tmp_path / "short", short)


@pytest.mark.parametrize(
    ("layers", "context", "says"),
    [(4, 32, "takes at most as many"), (2, 40, "knows 40 positions")],
)
def test_an_encoder_that_is_too_small_is_told(encoder, tokenizer, layers, context, says):
    with pytest.raises(WarmStartError, match=says):
        gpt_from_encoder(encoder, tokenizer, layers, context, 0.0)


def test_an_encoder_of_another_shape_is_told(tokenizer, tmp_path):
    narrow = str(write_base(tmp_path / "narrow", "bert", TEXTS))
    other = str(write_base(tmp_path / "gpt2", "gpt2", TEXTS))

    with pytest.raises(WarmStartError, match="four units to one"):
        gpt_from_encoder(narrow, tokenizer, 1, 16, 0.0)
    with pytest.raises(WarmStartError, match=r"only a BERT's blocks fit"):
        gpt_from_encoder(other, tokenizer, 1, 16, 0.0)


@pytest.mark.parametrize(
    "given",
    [{"base": "a", "blocks_from": "b"}, {"embeddings": "a", "blocks_from": "b"}, {"epochs": 0}],
)
def test_starts_that_exclude_each_other_and_no_start_at_all_are_told(given):
    with pytest.raises(RecipeError, match=r"exclude each other|knows nothing"):
        PretrainingSettings(**given)
