import pytest
import torch
from support.tiny_bases import write_base
from transformers.utils import logging as hf_logging

from classifier.labels import Labels
from classifier.model import open_base
from classifier.padded import PaddedModel


class Memory(torch.nn.Module):
    """A model on a device with room for so many tokens at a time."""

    def __init__(self, model, room):
        super().__init__()
        self.labels, self.model, self.room, self.sizes = model.labels, model, room, []

    def logits(self, input_ids, lengths):
        if input_ids.numel() > self.room:
            raise torch.OutOfMemoryError("no room")
        self.sizes.append(input_ids.numel())
        return self.model.logits(input_ids, lengths)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    hf_logging.set_verbosity_error()
    folder = write_base(tmp_path_factory.mktemp("base"), "gpt2", ["oil rises"] * 5, context=64)
    return open_base(str(folder), Labels(), 0.0)[0].eval()


TEXTS = [[5 + i % 40] * (1 + 7 * i % 60) for i in range(50)]


def padded(model):
    return PaddedModel(model, torch.device("cpu"), 1)


def test_out_of_memory_the_batch_is_split_and_every_text_has_its_numbers(model):
    small = Memory(model, 300)

    found = torch.cat(padded(small).logits(TEXTS, 1024), dim=1)

    expected = torch.cat(padded(model).logits(TEXTS, 256), dim=1)
    assert torch.equal(found, expected)
    assert max(small.sizes) <= 300


def test_the_lower_budget_is_remembered(model):
    small = Memory(model, 300)
    reader = padded(small)
    reader.logits(TEXTS, 1024)
    small.room = 10**6
    small.sizes.clear()

    reader.logits(TEXTS, 1024)

    assert max(small.sizes) <= 256


def test_the_budget_is_halved_until_it_fits_and_each_time_told(model, caplog, capsys):
    reader = padded(Memory(model, 64))

    reader.logits([[5] * 8] * 40, 512)

    told = capsys.readouterr().out + caplog.text
    assert [f"to={budget}" in told for budget in (256, 128, 64, 32)] == [True, True, True, False]


def test_the_padding_is_what_a_micro_batch_has_beyond_its_texts(model):
    reader = padded(model)
    reader.logits([[5] * 10, [6] * 16, [7] * 20], 64)
    assert reader.padding_ratio == pytest.approx(1 - 46 / (4 * 16 + 2 * 24))


def test_a_text_that_does_not_fit_alone_is_an_error(model):
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        padded(Memory(model, 32)).logits([[5] * 40], 1024)
