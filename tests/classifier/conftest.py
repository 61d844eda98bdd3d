import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """Tiny models are faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
