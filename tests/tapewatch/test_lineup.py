"""Who serves and who wants to, out of a real registry, as the page of the model is handed it."""

import json
from datetime import UTC, datetime

import pytest

from classifier.continual.registry import Note, RegistryError
from dashboard.model.lineup import Contest, ModelsError
from store.database import Database
from tapewatch.champion import SHIPPED, open_registry
from tapewatch.drifting import open_weights
from tapewatch.lineup import open_models, read_lineup, read_plain_card
from tapewatch.settings import Settings

NOTE = Note(datetime(2026, 3, 9, tzinfo=UTC), "ann", "by hand")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings whose registry is empty yet."""
    monkeypatch.setenv("TAPEWATCH_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.delenv("TAPEWATCH_WEIGHTS", raising=False)
    return Settings()


def add(settings, folder, version="other", **changes):
    """Take weights in whose card is the shipped one with changes."""
    folder.mkdir()
    card = json.loads((SHIPPED / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps(card | {"version": version} | changes))
    (folder / "labels.json").write_text("{}")
    (folder / "model.safetensors").write_text("")
    return open_registry(settings).add(folder)


def test_the_shipped_weights_serve_while_nobody_was_promoted(settings):
    found = read_lineup(settings)
    assert found.roles(found.shipped) == ["serves now", "champion", "shipped"]
    assert (found.challenger, found.contest, list(found.history)) == (None, None, [])
    assert read_plain_card(open_weights(settings), found.serving)["version"] == found.serving


def test_a_challenger_is_judged_as_promote_would(settings, tmp_path):
    registry = open_registry(settings)
    registry.challenge(add(settings, tmp_path / "same"), NOTE)
    found = read_lineup(settings)
    assert isinstance(found.contest, Contest)
    assert found.contest.promotes
    assert not any(each.worse for each in found.contest.compared)
    assert (found.history[0].role, found.history[0].by) == ("challenger", "ann")

    registry.challenge(add(settings, tmp_path / "empty", "empty", tests={}), NOTE)
    refused = read_lineup(settings).contest
    assert (refused.promotes, refused.reason) == (False, "the test sets differ")


def test_a_contest_that_cannot_be_decided_says_why(settings, tmp_path, monkeypatch):
    open_registry(settings).challenge(add(settings, tmp_path / "other"), NOTE)
    broken = tmp_path / "rules.toml"
    broken.write_text("[[rules]]\nname = 3\n")
    monkeypatch.setenv("TAPEWATCH_RULES", str(broken))
    assert f"{broken}:2" in read_lineup(Settings()).contest


def test_weights_that_the_settings_name_serve_whoever_is_champion(settings, tmp_path, monkeypatch):
    add(settings, tmp_path / "named", "named")
    monkeypatch.setenv("TAPEWATCH_WEIGHTS", str(tmp_path / "named"))
    monkeypatch.setenv("TAPEWATCH_MODELS_DIR", str(tmp_path / "none"))
    found = read_lineup(Settings())
    assert found.versions == ["named", found.shipped]
    assert found.roles("named") == ["serves now"]
    assert read_plain_card(open_weights(Settings()), "named")["version"] == "named"


def test_another_machine_that_scores_is_told(settings, monkeypatch):
    monkeypatch.setenv("TAPEWATCH_SCORER_URL", "http://elsewhere:8600")
    found = read_lineup(Settings())
    assert found.elsewhere
    assert "serves now" not in found.roles(found.champion)


def test_what_is_wrong_is_told_as_the_page_takes_it(settings, tmp_path):
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    models = open_models(database)
    with pytest.raises(ModelsError, match="no version 'gone'"):
        models.card("gone")
    root = settings.models_dir
    root.mkdir()
    (root / "registry.json").write_text("{")
    with pytest.raises(ModelsError, match="cannot be read"):
        models.lineup()
    database.close()


def test_a_card_that_is_no_object_cannot_be_read(settings, tmp_path):
    add(settings, tmp_path / "other")
    weights = open_weights(settings)
    (settings.models_dir / "other" / "card.json").write_text("[1")
    with pytest.raises(RegistryError, match=r"card\.json cannot be read"):
        read_plain_card(weights, "other")
