import pytest
import torch
from support.tiny_bases import write_base
from transformers import AutoModel

from classifier.labels import Labels
from classifier.model import WeightsError, load_tokenizer, open_base, save_weights
from classifier.tokenizer import train_tokenizer
from classifier.training.embeddings import EmbeddingsError, token_embeddings

TEXTS = [f"oil {verb} and gold {verb} in the {time}" for verb in ("falls", "rises", "stays")
         for time in ("morning", "evening")]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 3, 320, 32)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("encoder") / "bert", "bert", TEXTS, width=24)


def expected(encoder, words):
    """What the encoder makes of each word by itself: the mean over its tokens."""
    trunk, theirs = AutoModel.from_pretrained(encoder).eval(), load_tokenizer(str(encoder))
    with torch.inference_mode():
        return torch.stack(
            [
                trunk(torch.tensor([theirs(word)["input_ids"]])).last_hidden_state[0].mean(dim=0)
                for word in words
            ]
        )


def test_every_token_has_a_vector_and_all_together_mean_nought_and_deviation_one(
    encoder, tokenizer
):
    vectors = token_embeddings(str(encoder), tokenizer, 8)

    assert vectors.shape == (len(tokenizer), 8)
    assert vectors.mean().item() == pytest.approx(0, abs=1e-5)
    assert vectors.std().item() == pytest.approx(1, rel=1e-5)


def test_at_full_width_distances_are_those_of_the_encoder_up_to_a_scale(encoder, tokenizer):
    words = ["oil", "gold", "falls", "rises", "morning"]
    numbers = tokenizer.convert_tokens_to_ids([f"Ġ{word}" for word in words])

    vectors = token_embeddings(str(encoder), tokenizer, 24)[numbers]

    ours, theirs = (torch.cdist(v, v) for v in (vectors, expected(encoder, words)))
    scale = ours.sum() / theirs.sum()
    torch.testing.assert_close(ours, theirs * scale, rtol=1e-3, atol=1e-3)


def test_the_first_directions_are_those_that_differ_most(encoder, tokenizer):
    narrow, wide = (token_embeddings(str(encoder), tokenizer, width) for width in (4, 24))

    deviations = wide.std(dim=0)
    assert (deviations.diff() < 1e-5).all()
    cosines = torch.nn.functional.cosine_similarity(narrow, wide[:, :4])
    assert cosines.mean().item() > 0.9


def test_weights_of_ours_on_an_encoder_serve_as_well(encoder, tokenizer, tmp_path):
    model, theirs, _ = open_base(str(encoder), Labels(), 0.1)
    save_weights(model, theirs, tmp_path, torch.float32)

    torch.testing.assert_close(
        token_embeddings(str(tmp_path), tokenizer, 8),
        token_embeddings(str(encoder), tokenizer, 8),
    )


def test_what_cannot_give_embeddings_is_told(encoder, tokenizer, tmp_path):
    causal = write_base(tmp_path / "gpt2", "gpt2", TEXTS)

    with pytest.raises(EmbeddingsError, match="gpt2 is no encoder"):
        token_embeddings(str(causal), tokenizer, 8)
    with pytest.raises(EmbeddingsError, match="bert is 24 wide, and 25 is asked for"):
        token_embeddings(str(encoder), tokenizer, 25)
    with pytest.raises(WeightsError, match="absent"):
        token_embeddings(str(tmp_path / "absent"), tokenizer, 8)


def test_a_vocabulary_smaller_than_the_width_is_told(tmp_path, tokenizer):
    wide = write_base(tmp_path / "wide", "bert", TEXTS, width=512, layers=1)

    with pytest.raises(EmbeddingsError, match="tokens cannot fill 500 directions"):
        token_embeddings(str(wide), tokenizer, 500)
