import pytest
import torch
from support.tiny_bases import write_base
from torch.nn.functional import cosine_similarity

from classifier.engine import Engine
from classifier.labels import Labels
from classifier.model import load_tokenizer, load_trunk, open_base, save_weights
from classifier.training.vocabulary import VocabularyError, grow_vocabulary

OLD = [f"{thing} {verb}" for thing in ("oil", "gold", "tin") for verb in ("falls", "rises", "is")]
NEW = [f"{thing} {verb}" for thing in ("oil", "copper", "zinc") for verb in ("falls", "slumps")]
TEXTS = [*OLD, *NEW] * 5
WIDTH = 4


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(
        write_base(tmp_path_factory.mktemp("base") / "gpt", "openai-gpt", OLD * 3, width=WIDTH)
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT that knows every word whole."""
    return str(write_base(tmp_path_factory.mktemp("encoder") / "bert", "bert", TEXTS, width=24))


def opened(base):
    model, tokenizer, _ = open_base(base, Labels(), 0.0)
    return model.eval(), tokenizer


def embeddings(model):
    return model.trunk.get_input_embeddings().weight.detach().clone()


def test_words_that_were_cut_into_pieces_are_whole_then(base):
    model, old = opened(base)
    assert len(old.tokenize("copper slumps")) > 2

    grown = grow_vocabulary(model, old, TEXTS, 600)

    assert grown.tokenize("copper slumps") == ["Ġcopper", "Ġslumps"]
    assert len(embeddings(model)) == len(grown) == model.trunk.config.vocab_size > len(old)


def test_a_token_that_is_known_keeps_its_embedding_and_a_new_one_has_the_mean_of_its_pieces(base):
    model, old = opened(base)
    before = embeddings(model)
    known = old.get_vocab()

    grown = grow_vocabulary(model, old, TEXTS, 600)

    after, tokens = embeddings(model), grown.get_vocab()
    shared = [token for token in tokens if token in known]
    assert len(shared) > 260, "bytes, words and what stands for the end and links"
    assert torch.equal(after[[tokens[t] for t in shared]], before[[known[t] for t in shared]])
    pieces = old("copper", add_special_tokens=False)["input_ids"]
    torch.testing.assert_close(after[tokens["Ġcopper"]], before[pieces].mean(dim=0))


def test_texts_of_known_words_are_read_as_before(base, tmp_path):
    model, old = opened(base)
    save_weights(model, old, tmp_path / "before", torch.float32)

    grown = grow_vocabulary(model, old, TEXTS, 600, None)
    save_weights(model, grown, tmp_path / "after", torch.float32)

    told = [Engine(tmp_path / name, "cpu", precision="fp32") for name in ("before", "after")]
    known = ["oil falls", "gold rises", "tin is"]
    assert [len(ids) for ids in told[0].encode(known)] == [len(i) for i in told[1].encode(known)]
    for ours, theirs in zip(told[0].logits(known), told[1].logits(known), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_new_word_of_an_encoder_starts_where_the_map_of_the_shared_words_puts_it(
    base, encoder, tmp_path
):
    """The encoder's words are made a linear image of the base's, so it is known where that is."""
    model, old = opened(base)
    known, theirs, trunk = old.get_vocab(), load_tokenizer(encoder).get_vocab(), load_trunk(encoder)
    torch.manual_seed(3)
    image, copper = torch.randn(WIDTH, 24), torch.randn(WIDTH)
    words = trunk.get_input_embeddings().weight
    shared = {word: f"Ġ{word}" for word in theirs if f"Ġ{word}" in known}
    assert len(shared) > WIDTH
    with torch.no_grad():
        for word, ours in shared.items():
            words[theirs[word]] = embeddings(model)[known[ours]] @ image
        words[theirs["copper"]] = copper @ image
    trunk.save_pretrained(tmp_path)
    load_tokenizer(encoder).save_pretrained(tmp_path)

    grown = grow_vocabulary(model, old, TEXTS, 600, str(tmp_path)).get_vocab()

    after = embeddings(model)
    middle = after[[grown[ours] for ours in shared.values()]].mean(dim=0)
    found = after[grown["Ġcopper"]]
    assert cosine_similarity(found - middle, copper - middle, dim=0) > 0.95
    assert torch.equal(after[grown["Ġoil"]], embeddings(opened(base)[0])[known["Ġoil"]])


def test_what_cannot_grow_is_told(base, encoder, tmp_path):
    model, old = opened(base)
    with pytest.raises(VocabularyError, match=f"has {len(old)} tokens: it can only grow"):
        grow_vocabulary(model, old, TEXTS, len(old))
    with pytest.raises(VocabularyError, match="give more texts"):
        grow_vocabulary(model, old, ["oil falls"], 600)
    theirs, known = opened(encoder)
    with pytest.raises(VocabularyError, match="is not ours, and cannot grow"):
        grow_vocabulary(theirs, known, TEXTS, 600)
    foreign = write_base(tmp_path / "bert", "bert", ["çéà üöä"])
    with pytest.raises(VocabularyError, match="bert shares no word with the base"):
        grow_vocabulary(model, old, TEXTS, 600, str(foreign))
