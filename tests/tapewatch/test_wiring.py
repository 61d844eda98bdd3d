"""What a process does before it begins: no database, no weights."""

import gc

import pytest

from tapewatch.wiring import keep_loaded


@pytest.fixture
def _thaw():
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thaw")
def test_no_collection_looks_at_what_was_loaded_before():
    loaded, before = [[]], gc.get_freeze_count()

    keep_loaded()

    assert gc.get_freeze_count() > before + 10_000, "all that pytest has imported"
    fresh: list[object] = []
    assert not any(each is loaded for each in gc.get_objects())
    assert any(each is fresh for each in gc.get_objects())
