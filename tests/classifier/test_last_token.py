import pytest
import torch
from transformers import OpenAIGPTConfig, OpenAIGPTModel

from classifier.last_token import last_hidden


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(3)
    shape = OpenAIGPTConfig(
        vocab_size=50, n_positions=24, n_embd=32, n_layer=3, n_head=4, initializer_range=0.3
    )
    return OpenAIGPTModel(shape).eval()


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(4)
    return torch.randint(0, 50, (6, 24)), torch.tensor([1, 2, 9, 17, 23, 24])


def whole(trunk, input_ids, lengths):
    hidden = trunk(input_ids=input_ids).last_hidden_state
    return hidden[torch.arange(len(lengths)), lengths - 1]


@torch.no_grad()
def test_it_is_what_the_whole_forward_pass_says_of_the_last_token(trunk, batch):
    torch.testing.assert_close(last_hidden(trunk, *batch), whole(trunk, *batch))


@torch.no_grad()
def test_what_comes_behind_the_last_token_changes_nothing(trunk, batch):
    input_ids, lengths = batch
    behind = torch.arange(24) >= lengths[:, None]

    found = last_hidden(trunk, input_ids.masked_fill(behind, 7), lengths)

    assert torch.equal(found, last_hidden(trunk, input_ids, lengths))


def test_training_sees_the_same_gradients(trunk, batch):
    gradients = []
    for way in (last_hidden, whole):
        trunk.zero_grad()
        way(trunk, *batch).square().sum().backward()
        gradients.append([p.grad.clone() for p in trunk.parameters() if p.grad is not None])

    assert len(gradients[0]) == len(gradients[1]) == len(list(trunk.parameters()))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
