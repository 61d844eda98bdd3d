import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from classifier.continual.registry import (
    REGISTRY_FILE,
    ChampionMovedError,
    DamagedRegistryError,
    IncompleteWeightsError,
    Note,
    NothingToRollBackError,
    Registry,
    RegistryError,
    Role,
    UnknownVersionError,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def weights(folder, version, content="numbers"):
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"version": version}))
    (folder / "labels.json").write_text("{}")
    (folder / "model.safetensors").write_text(content)
    return folder


def note(reason="because", minute=0):
    return Note(NOON + timedelta(minutes=minute), "me", reason)


@pytest.fixture
def registry(tmp_path):
    """A registry with the versions b and c beside the shipped a."""
    made = Registry(tmp_path / "models", weights(tmp_path / "shipped", "a"))
    for version in "bc":
        made.add(weights(tmp_path / "trained" / version, version))
    return made


def test_a_registry_that_was_never_written_serves_the_shipped_weights(tmp_path):
    registry = Registry(tmp_path / "none", weights(tmp_path / "shipped", "a"))

    assert (registry.champion(), registry.champion_folder()) == ("a", tmp_path / "shipped")
    assert registry.versions() == ["a"]
    assert registry.stamp() is None
    assert not (tmp_path / "none").exists()


def test_added_weights_are_copied_and_listed(registry, tmp_path):
    assert registry.versions() == ["a", "b", "c"]
    assert (registry.folder("b") / "model.safetensors").read_text() == "numbers"
    assert registry.folder("b") != tmp_path / "trained" / "b"


def test_to_add_a_version_again_renews_its_card_and_nothing_else(registry, tmp_path):
    again = weights(tmp_path / "again", "b", "other numbers")
    (again / "card.json").write_text(json.dumps({"version": "b", "made_on": "2026-03-11"}))
    (again / "README.md").write_text("# b")

    registry.add(again)

    kept = registry.folder("b")
    assert json.loads((kept / "card.json").read_text())["made_on"] == "2026-03-11"
    assert (kept / "README.md").read_text() == "# b"
    assert (kept / "model.safetensors").read_text() == "numbers"


def test_nothing_half_copied_is_left_or_listed(registry):
    (registry.root / ".incoming-x" / "d").mkdir(parents=True)
    weights(registry.root / ".incoming-x" / "e", "e")

    assert registry.versions() == ["a", "b", "c"]
    assert {path.name for path in registry.root.iterdir()} == {
        "b", "c", "registry.lock", ".incoming-x"
    }  # fmt: skip


@pytest.mark.parametrize("missing", ["card.json", "labels.json", "model.safetensors"])
def test_a_folder_that_lacks_something_is_not_added(registry, tmp_path, missing):
    folder = weights(tmp_path / "new", "d")
    (folder / missing).unlink()

    with pytest.raises(IncompleteWeightsError, match=r"new .*tapewatch train"):
        registry.add(folder)
    assert registry.versions() == ["a", "b", "c"]


def test_weights_are_not_added_under_another_name_than_their_cards(registry, tmp_path):
    with pytest.raises(RegistryError, match="says 'd', not 'e'"):
        registry.add(weights(tmp_path / "new", "d"), "e")


@pytest.mark.parametrize("version", ["../up", "", ".hidden", "a b", "x" * 101])
def test_a_version_that_is_no_plain_name_is_not_added(registry, tmp_path, version):
    with pytest.raises(DamagedRegistryError, match="only letters, digits"):
        registry.add(weights(tmp_path / "new", version))


@pytest.mark.parametrize("version", ["x", "../trained/b", "", "."])
def test_an_unknown_version_is_named_with_the_known_ones(registry, version):
    with pytest.raises(UnknownVersionError, match="it has a, b, c"):
        registry.folder(version)


def test_a_promotion_moves_both_roles_and_is_remembered(registry):
    registry.challenge("b", note("new labels"))
    registry.promote("b", note("not worse", 1), against="a")

    state = registry.state()
    assert (registry.champion(), state.challenger) == ("b", None)
    assert registry.champion_folder() == registry.root / "b"
    assert [(e.version, e.role, e.at, e.by, e.reason) for e in state.history] == [
        ("b", Role.CHALLENGER, NOON, "me", "new labels"),
        ("b", Role.CHAMPION, NOON + timedelta(minutes=1), "me", "not worse"),
    ]


def test_a_promotion_leaves_another_challenger_alone(registry):
    registry.challenge("c", note())
    registry.promote("b", note(), against="a")

    assert registry.state().challenger == "c"


def test_the_champion_cannot_challenge_itself(registry):
    registry.promote("b", note(), against="a")

    for version, champion in (("b", "b"), ("a", "a")):
        if champion == "a":
            registry.rollback(note(), against="b")
        with pytest.raises(RegistryError, match="cannot challenge itself"):
            registry.challenge(version, note())


def test_rollbacks_undo_the_promotions_one_by_one_down_to_the_shipped_weights(registry):
    registry.promote("b", note(), against="a")
    registry.promote("c", note(), against="b")

    assert registry.rollback(note(), against="c") == "b"
    assert registry.rollback(note(), against="b") == "a"
    assert registry.champion_folder() == registry.shipped
    with pytest.raises(NothingToRollBackError, match="'a', the shipped weights"):
        registry.rollback(note(), against="a")


def test_after_a_rollback_the_next_one_goes_further_back_not_forth(registry):
    registry.promote("b", note(), against="a")
    registry.promote("c", note(), against="b")
    registry.rollback(note(), against="c")
    registry.promote("c", note(), against="b")
    registry.rollback(note(), against="c")

    assert registry.champion() == "b"
    assert registry.rollback(note(), against="b") == "a"
    assert [entry.role for entry in registry.state().history] == [
        Role.CHAMPION, Role.CHAMPION, Role.ROLLED_BACK, Role.CHAMPION, Role.ROLLED_BACK,
        Role.ROLLED_BACK,
    ]  # fmt: skip


def test_the_shipped_weights_can_be_promoted_and_rolled_back_from(registry):
    registry.promote("b", note(), against="a")
    registry.promote("a", note(), against="b")

    assert registry.champion_folder() == registry.shipped
    assert registry.rollback(note(), against="a") == "b"


def test_new_shipped_weights_serve_where_the_registry_names_none(registry, tmp_path):
    registry.promote("b", note(), against="a")
    newer = Registry(registry.root, weights(tmp_path / "newer", "a2"))

    assert newer.champion() == "b"
    assert newer.rollback(note(), against="b") == "a2"


def test_a_rollback_to_a_version_that_is_gone_changes_nothing(registry):
    registry.promote("b", note(), against="a")
    registry.promote("c", note(), against="b")
    (registry.root / "b" / "card.json").unlink()

    with pytest.raises(UnknownVersionError, match="no version 'b'"):
        registry.rollback(note(), against="c")
    assert registry.champion() == "c"


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.promote("c", note(), against="a"),
        lambda registry: registry.rollback(note(), against="a"),
    ],
)
def test_a_change_against_a_champion_that_was_replaced_is_refused(registry, change):
    registry.promote("b", note(), against="a")

    with pytest.raises(ChampionMovedError, match="'b' serves now, no longer 'a'"):
        change(registry)
    assert registry.champion() == "b"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"champion": 3}', '{"history": [{}]}', "\xff"])
def test_a_damaged_registry_file_is_named_with_what_to_do(registry, content):
    path = registry.root / REGISTRY_FILE
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(DamagedRegistryError, match=r"registry\.json cannot be read.*restore it"):
        registry.champion_folder()
    with pytest.raises(DamagedRegistryError):
        registry.challenge("b", note())
    assert path.read_bytes() == content.encode("latin-1")


def test_a_change_that_is_cut_off_leaves_the_file_as_it_was(registry):
    registry.promote("b", note(), against="a")
    (registry.root / ".registry-half").write_text('{"champion": "c", "his')

    assert registry.champion() == "b"
    assert registry.versions() == ["a", "b", "c"]


def test_the_stamp_changes_with_every_change(registry):
    stamps = [registry.stamp()]
    for change in (
        lambda: registry.challenge("b", note()),
        lambda: registry.challenge("c", note()),
        lambda: registry.promote("b", note(), against="a"),
        lambda: registry.rollback(note(), against="b"),
    ):
        change()
        stamps.append(registry.stamp())

    assert len(set(stamps)) == 5


def test_commands_at_the_same_time_lose_no_entry_of_each_other(registry):
    barrier = threading.Barrier(4)

    def challenge(number):
        barrier.wait(30)
        for minute in range(10):
            registry.challenge("bc"[number % 2], note(f"{number}", minute))

    threads = [threading.Thread(target=challenge, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    reasons = [entry.reason for entry in registry.state().history]
    assert sorted(reasons) == sorted(str(number) for number in range(4) for _ in range(10))


def test_of_two_promotions_at_the_same_time_one_is_told_that_the_other_was_faster(registry):
    barrier, outcomes = threading.Barrier(2), []

    def promote(version):
        barrier.wait(30)
        try:
            registry.promote(version, note(), against="a")
            outcomes.append(version)
        except ChampionMovedError:
            outcomes.append(None)

    threads = [threading.Thread(target=promote, args=(version,)) for version in "bc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes, key=str) == sorted([registry.champion(), None], key=str)
    assert len(registry.state().history) == 1
