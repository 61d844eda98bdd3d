import random
import shutil

import pytest
import torch
from support.tiny_bases import write_base

from classifier.engine import Engine
from classifier.hardware import exact_int8, fast_bf16
from classifier.labels import Labels
from classifier.linear import FloatLayers
from classifier.model import WeightsError, load_weights, open_base, save_weights
from classifier.packed import PackedModel, can_pack
from classifier.quantization import (
    RANGES_FILE,
    RangesError,
    int8_layers,
    measure_ranges,
    read_ranges,
    write_ranges,
)

SERVED = ("fp32", "bf16", *(["int8"] if exact_int8() else []))
WORDS = ("profit", "bank", "falls", "rises", "after", "the", "report", "oil", "of", "gold")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of three blocks, with the ranges of their activations."""
    folder = tmp_path_factory.mktemp("packed")
    write_base(folder / "base", "openai-gpt", [" ".join(WORDS)] * 5, width=32, layers=3, context=48)
    model, tokenizer, _ = open_base(str(folder / "base"), Labels(), 0.1)
    save_weights(model.eval(), tokenizer, folder / "weights")
    model, _ = load_weights(folder / "weights")
    write_ranges(measure_ranges(model, texts(64, seed=1)), folder / "weights")
    return folder / "weights"


def texts(count, seed):
    """Token ids of texts of 1 to 48 tokens."""
    chance = random.Random(seed)
    return [chance.choices(range(5, 300), k=chance.randint(1, 48)) for _ in range(count)]


def layers(weights, precision):
    if precision == "int8":
        return int8_layers(read_ranges(weights))
    return FloatLayers({"fp32": torch.float32, "bf16": torch.bfloat16}[precision])


def alone(model, ids):
    """Both heads' logits by transformers' own forward pass over one text."""
    with torch.inference_mode():
        vector = model.trunk(torch.tensor([ids])).last_hidden_state[0, -1]
        return torch.cat([model.topic_head(vector), model.sentiment_head(vector)])


@pytest.mark.parametrize("precision", SERVED)
def test_each_text_has_the_numbers_of_transformers_own_forward_pass(weights, precision):
    error = {"fp32": 1e-5, "bf16": 0.05, "int8": 0.1}[precision]
    model, _ = load_weights(weights)
    many = texts(40, seed=2)

    found = torch.cat(PackedModel(model, layers(weights, precision)).logits(many, 256), dim=1)

    expected = torch.stack([alone(model, ids) for ids in many])
    assert expected.std() > 5 * error
    torch.testing.assert_close(found, expected, rtol=0, atol=error)


@pytest.mark.parametrize("precision", SERVED)
def test_bit_for_bit_the_same_in_any_batch_order_and_budget(weights, precision):
    packed = PackedModel(load_weights(weights)[0], layers(weights, precision))
    many, chance = texts(300, seed=3), random.Random(4)
    whole = torch.cat(packed.logits(many, 2048), dim=1)

    for size in (1, 2, 7, 64, 300):
        order = chance.sample(range(300), 300)
        budget = chance.choice([48, 100, 512, 4096])
        for first in range(0, 300, size):
            some = order[first : first + size]
            found = torch.cat(packed.logits([many[i] for i in some], budget), dim=1)
            assert torch.equal(found, whole[some])


@pytest.mark.parametrize("precision", SERVED)
def test_bit_for_bit_the_same_by_any_number_of_threads(weights, precision):
    model, made = load_weights(weights)[0], layers(weights, precision)
    many = texts(200, seed=6)
    before = torch.get_num_threads()

    by_threads = [
        torch.cat(PackedModel(model, made, threads=threads).logits(many, 512), dim=1)
        for threads in (1, 2, 5)
    ]

    assert by_threads[0].equal(by_threads[1])
    assert by_threads[0].equal(by_threads[2])
    assert torch.get_num_threads() == before


def test_only_the_last_rows_of_a_pack_are_padding(weights):
    packed = PackedModel(load_weights(weights)[0], layers(weights, "fp32"))
    packed.logits([[5] * 40, [6] * 20], 64)
    assert packed.padding_ratio == pytest.approx(1 - 60 / 64)
    packed.logits([[5] * 40, [6] * 40], 64)
    assert packed.padding_ratio == pytest.approx(1 - 80 / 128)


def test_no_texts_have_no_logits(weights):
    topics, sentiments = PackedModel(load_weights(weights)[0], layers(weights, "fp32")).logits(
        [], 64
    )

    assert (topics.shape, sentiments.shape) == ((0, 20), (0, 3))


def test_what_lies_beyond_the_ranges_is_clipped_and_not_wrapped(weights, tmp_path):
    """With ranges a hundred times too narrow the numbers are poor, and still numbers."""
    ranges = read_ranges(weights)
    tight = {name: (low / 100, high / 100) for name, (low, high) in ranges.inputs.items()}
    packed = PackedModel(load_weights(weights)[0], int8_layers(type(ranges)(tight)))

    topics, sentiments = packed.logits(texts(20, seed=5), 512)

    assert topics.isfinite().all()
    assert sentiments.abs().max() < 100


def test_ranges_hold_every_product_and_are_read_as_they_were_written(weights):
    ranges = read_ranges(weights)

    parts = ("mix", "project", "widen", "narrow")
    of_all_tokens = {f"{block}.{part}" for block in range(2) for part in parts} | {"2.mix"}
    assert set(ranges.inputs) == of_all_tokens
    assert all(low <= 0 < high for low, high in ranges.inputs.values())
    assert all(low > -0.2 for name, (low, _) in ranges.inputs.items() if name.endswith("narrow"))


def test_damaged_ranges_are_told_with_what_to_do(weights, tmp_path):
    copy = shutil.copytree(weights, tmp_path / "copy")
    (copy / RANGES_FILE).write_text('{"inputs": 3}')

    with pytest.raises(RangesError, match=r"int8\.json cannot be read.*without it the weights"):
        Engine(copy, "cpu")


def test_weights_serve_in_int8_where_ranges_and_processor_allow(weights, tmp_path):
    copy = shutil.copytree(weights, tmp_path / "copy")
    narrow = Engine(copy, "cpu")
    version = narrow.version
    (copy / RANGES_FILE).unlink()
    wide = Engine(copy, "cpu")

    floating = "bf16" if fast_bf16(torch.device("cpu")) else "fp32"
    assert (narrow.precision, wide.precision) == ("int8" if exact_int8() else floating, floating)
    assert version != wide.version
    with pytest.raises(WeightsError, match=r"cannot serve in int8 on cpu.*rests on int8\.json"):
        Engine(copy, "cpu", precision="int8")


def test_an_unknown_precision_is_refused_with_those_there_are(weights):
    with pytest.raises(ValueError, match="'fp8' is no precision: fp32, bf16, int8 or auto are"):
        Engine(weights, "cpu", precision="fp8")


def test_other_activations_than_gelu_are_not_packed(weights):
    model, _ = load_weights(weights)
    assert can_pack(model.trunk)
    model.trunk.config.afn = "relu"
    assert not can_pack(model.trunk)
