import sys

import pytest
import torch
from support.tiny_bases import CAUSAL, KINDS, write_base
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, GPT2Model

from classifier.labels import SENTIMENTS, Labels
from classifier.model import TwoHeadedModel, encode, load_weights, open_base, save_weights
from classifier.recipe import Recipe
from classifier.training.strategies import (
    StrategyError,
    choose_trained,
    freeze_all_but_last,
    make_optimizer,
    merge_trained,
    trained_share,
)

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = Labels(("Oil", "Gold"), SENTIMENTS)
TEXTS = ("oil falls today", "gold rises", "the price of oil stays as it is", "gold")
HEADS = {"topic_head.weight", "topic_head.bias", "sentiment_head.weight", "sentiment_head.bias"}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {kind: str(write_base(folder / kind, kind, TEXTS * 5)) for kind in KINDS}


def opened(bases, kind, dropout=0.0):
    torch.manual_seed(1)
    return open_base(bases[kind], LABELS, dropout)[:2]


def inputs(model, tokenizer):
    tokens = encode(tokenizer, TEXTS, 16, encoder=model.encoder)
    lengths = torch.tensor([len(ids) for ids in tokens])
    input_ids = torch.full((len(tokens), int(lengths.max())), int(tokenizer.pad_token_id))
    for row, ids in enumerate(tokens):
        input_ids[row, : len(ids)] = torch.tensor(ids)
    return input_ids, lengths


def logits(model, tokenizer):
    model.eval()
    with torch.no_grad():
        return torch.cat(model.logits(*inputs(model, tokenizer)), dim=1)


def train(model, tokenizer, recipe, steps=3):
    """Some steps on what the strategy trains; the names of all that changed."""
    choose_trained(model, recipe)
    optimizer = make_optimizer(model, recipe)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    batch, wanted = inputs(model, tokenizer), torch.tensor([0, 1, 0, 1])
    for _ in range(steps):
        outputs = model(*batch)
        loss = sum(nn.functional.cross_entropy(outputs[h], wanted) for h in ("topic", "sentiment"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}


def weights(model):
    """Everything that a text goes through: BERT's pooler is not."""
    return {name for name, _ in model.named_parameters() if ".pooler." not in name}


@pytest.mark.parametrize("kind", KINDS)
def test_heads_alone_are_trained_on_a_frozen_trunk(bases, kind):
    model, tokenizer = opened(bases, kind)

    assert train(model, tokenizer, Recipe(strategy="heads")) == HEADS


LAST = {
    "gpt2": ("trunk.h.1.", "trunk.ln_f."),
    "llama": ("trunk.layers.1.", "trunk.norm."),
    "qwen2": ("trunk.layers.1.", "trunk.norm."),
    "openai-gpt": ("trunk.h.1.",),
    "bert": ("trunk.encoder.layer.1.",),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_block_is_trained_with_the_norm_behind_it(bases, kind):
    model, tokenizer = opened(bases, kind)
    last = {name for name in weights(model) if name.startswith(LAST[kind])}

    changed = train(model, tokenizer, Recipe(strategy="last", blocks=1))

    assert len(last) > 2
    assert changed == last | HEADS


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_trained_by_the_full_strategy(bases, kind):
    model, tokenizer = opened(bases, kind)

    assert train(model, tokenizer, Recipe(strategy="full")) == weights(model)


@pytest.mark.parametrize("kind", KINDS)
def test_lora_trains_beside_frozen_weights_and_is_merged_into_them(bases, kind, tmp_path):
    model, tokenizer = opened(bases, kind)
    start = logits(model, tokenizer)
    names = set(model.state_dict())

    changed = train(model, tokenizer, Recipe(strategy="lora", lora_rank=2, learning_rate=0.01))

    added = {name for name in changed if ".lora_" in name}
    assert changed == added | HEADS
    assert {name.rpartition(".lora_")[2][:1] for name in added} == {"A", "B"}
    trained = logits(model, tokenizer)
    assert not torch.allclose(trained, start, atol=1e-2)

    merge_trained(model)
    assert set(model.state_dict()) == names
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(logits(model, tokenizer), trained, rtol=1e-4, atol=1e-4)
    save_weights(model, tokenizer, tmp_path, torch.float32)
    assert not list(tmp_path.glob("adapter*"))
    loaded, its_tokenizer = load_weights(tmp_path)
    torch.testing.assert_close(logits(loaded, its_tokenizer), trained, rtol=1e-4, atol=1e-4)


def test_the_share_that_is_trained_grows_with_the_strategy(bases):
    shares = []
    for recipe in (
        Recipe(strategy="heads"),
        Recipe(strategy="lora", lora_rank=1),
        Recipe(strategy="last", blocks=1),
        Recipe(strategy="last", blocks=2),
        Recipe(strategy="full"),
    ):
        model, _ = opened(bases, "gpt2")
        choose_trained(model, recipe)
        shares.append(trained_share(model))

    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_more_blocks_than_there_are_is_told(bases, kind):
    model, _ = opened(bases, kind)

    with pytest.raises(StrategyError, match="the base has 2 blocks: the last 3 cannot be trained"):
        choose_trained(model, Recipe(strategy="last", blocks=3))


@pytest.mark.parametrize("kind", CAUSAL)
@pytest.mark.parametrize(("share", "thawed"), [(0.01, {"1"}), (0.5, {"1"}), (1.0, {"0", "1"})])
def test_of_a_language_model_a_share_of_the_blocks_is_left_to_be_trained(
    bases, kind, share, thawed
):
    model = AutoModelForCausalLM.from_pretrained(bases[kind])

    freeze_all_but_last(model, share)

    left = {name for name, value in model.named_parameters() if value.requires_grad}
    numbers = {part for name in left for part in name.split(".") if part.isdigit()}
    assert numbers == thawed
    assert not any(model.get_input_embeddings().weight is p for p in model.parameters()
                   if p.requires_grad)  # fmt: skip


def test_a_stack_within_a_block_is_not_taken_for_the_blocks():
    """Experts are more than blocks, but smaller."""
    trunk = GPT2Model(GPT2Config(vocab_size=30, n_positions=8, n_embd=8, n_layer=2, n_head=2))
    trunk.h[1].experts = nn.ModuleList(nn.Linear(2, 2) for _ in range(5))
    model = TwoHeadedModel(trunk, LABELS)

    choose_trained(model, Recipe(strategy="last", blocks=2))

    assert all(p.requires_grad for p in trunk.h.parameters())


def test_a_trunk_without_blocks_is_told(bases):
    model, _ = opened(bases, "gpt2")
    model.trunk.h = nn.Sequential(*model.trunk.h)

    with pytest.raises(StrategyError, match="GPT2Model has no stack of blocks"):
        choose_trained(model, Recipe(strategy="last"))


def test_lora_without_its_package_is_told(bases, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    model, _ = opened(bases, "gpt2")

    with pytest.raises(StrategyError, match=r"needs the package peft: pip install"):
        choose_trained(model, Recipe(strategy="lora"))


def groups(model, recipe):
    """The optimizer's settings of each parameter, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, recipe)
    return optimizer, {names[id(p)]: g for g in optimizer.param_groups for p in g["params"]}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", CAUSAL)
def test_biases_and_norms_do_not_decay_and_heads_have_their_own_rate(bases, kind, optimizer):
    model, _ = opened(bases, kind)
    recipe = Recipe(optimizer=optimizer, learning_rate=0.01, head_factor=5, weight_decay=0.2)

    _, settings = groups(model, recipe)

    assert set(settings) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert settings[name]["weight_decay"] == (0.2 if parameter.ndim > 1 else 0), name
        assert settings[name]["lr"] == pytest.approx(0.05 if name in HEADS else 0.01)


def test_sgd_takes_the_momentum_of_the_recipe(bases):
    model, tokenizer = opened(bases, "gpt2")
    recipe = Recipe(optimizer="sgd", momentum=0.7, learning_rate=0.05)

    found, _ = groups(model, recipe)

    assert type(found) is torch.optim.SGD
    assert {group["momentum"] for group in found.param_groups} == {0.7}
    assert {group["nesterov"] for group in found.param_groups} == {True}
    assert type(groups(model, Recipe())[0]) is torch.optim.AdamW
    assert train(model, tokenizer, recipe) == weights(model)
    assert not groups(model, Recipe(optimizer="sgd", momentum=0))[0].param_groups[0]["nesterov"]


@pytest.mark.parametrize("strategy", ["heads", "last", "lora"])
def test_the_optimizer_holds_only_what_is_trained(bases, strategy):
    model, _ = opened(bases, "gpt2")
    recipe = Recipe(strategy=strategy, blocks=1)
    choose_trained(model, recipe)

    _, settings = groups(model, recipe)

    assert set(settings) == {name for name, p in model.named_parameters() if p.requires_grad}
