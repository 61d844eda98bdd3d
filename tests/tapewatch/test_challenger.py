"""Training on drift, with a stand-in for the training itself: a process that copies weights."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from classifier.continual.registry import Registry, Role
from classifier.continual.stability import Verdict
from tapewatch.challenger import REST, Trainer, Training, decide, train_command

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


def weights(folder, version):
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"version": version}))
    (folder / "labels.json").write_text("{}")
    (folder / "model.safetensors").write_text(version)
    return folder


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models", weights(tmp_path / "shipped", "a"))


@pytest.fixture
def trained(tmp_path):
    return weights(tmp_path / "trained", "b")


def running(program, *arguments):
    """A training that is this Python program, given the arguments and the output folder."""
    first = [sys.executable, "-c", program]
    return lambda output: [*first, *map(str, arguments), str(output)]


@pytest.fixture
def held(tmp_path):
    """A training that lasts until the named pipe is opened for writing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = f"open({str(pipe)!r}).read(); {COPY}"
    return pipe, lambda source: running(program, source)


@pytest.mark.parametrize(
    ("verdict", "under_way", "ago", "decision"),
    [
        (None, False, None, Training.NOT_DRIFTED),
        (Verdict.STABLE, False, None, Training.NOT_DRIFTED),
        (Verdict.MODERATE, False, None, Training.NOT_DRIFTED),
        (Verdict.TOO_FEW, False, None, Training.NOT_DRIFTED),
        (Verdict.DRIFTED, False, None, Training.NEEDED),
        (Verdict.DRIFTED, True, None, Training.UNDER_WAY),
        (Verdict.DRIFTED, True, 2 * REST, Training.UNDER_WAY),
        (Verdict.DRIFTED, False, REST, Training.NEEDED),
        (Verdict.DRIFTED, False, REST - timedelta.resolution, Training.RESTING),
    ],
)
def test_a_challenger_is_trained_on_drift_one_at_a_time_and_with_rests(
    verdict, under_way, ago, decision
):
    began = None if ago is None else NOON - ago

    assert decide(verdict, began, NOON, under_way=under_way) is decision


def test_what_a_training_leaves_becomes_the_challenger_and_never_the_champion(registry, trained):
    trainer = Trainer(registry, running(COPY, trained))

    assert trainer.follow_up(Verdict.DRIFTED, NOON) is Training.NEEDED
    trainer.wait(60)
    assert trainer.follow_up(None, NOON + HOUR) is Training.NOT_DRIFTED

    state = registry.state()
    assert (registry.champion(), state.challenger) == ("a", "b")
    (entry,) = state.history
    assert (entry.role, entry.at, entry.by) == (Role.CHALLENGER, NOON + HOUR, "tapewatch drift")
    assert (registry.folder("b") / "model.safetensors").read_text() == "b"


def test_while_one_runs_no_other_begins_whoever_asks(registry, trained, held):
    pipe, command = held
    trainer, other = (Trainer(registry, command(trained), rest=timedelta(0)) for _ in range(2))
    trainer.follow_up(Verdict.DRIFTED, NOON)

    decisions = [t.follow_up(Verdict.DRIFTED, NOON + HOUR) for t in (trainer, other)]
    other.begin(NOON + HOUR)
    other.wait(1)
    pipe.write_text("go on")
    trainer.wait(60)

    assert decisions == [Training.UNDER_WAY] * 2
    assert not trainer.under_way()
    assert other.collect(NOON + HOUR) == "b"


def test_a_rest_is_kept_across_restarts(registry, trained):
    before = Trainer(registry, running(""))
    before.follow_up(Verdict.DRIFTED, NOON)
    before.wait(60)
    again = Trainer(registry, running(COPY, trained))

    assert again.follow_up(Verdict.DRIFTED, NOON + REST - HOUR) is Training.RESTING
    assert again.follow_up(Verdict.DRIFTED, NOON + REST) is Training.NEEDED
    again.wait(60)


def test_a_training_that_fails_is_told_with_its_log_and_adds_nothing(registry):
    trainer = Trainer(registry, running("import sys; sys.exit('no rows to train on')"))
    trainer.follow_up(Verdict.DRIFTED, NOON)
    trainer.wait(60)

    with capture_logs() as logs:
        trainer.follow_up(None, NOON)
        trainer.follow_up(None, NOON)

    (told,) = logs
    assert (told["event"], told["status"]) == ("training_failed", 1)
    assert "no rows to train on" in Path(told["log"]).read_text()
    assert registry.state().challenger is None


def test_weights_that_the_registry_does_not_take_are_set_aside(registry, tmp_path):
    trainer = Trainer(registry, running(COPY, weights(tmp_path / "same", "a")))
    trainer.follow_up(Verdict.DRIFTED, NOON)
    trainer.wait(60)

    with capture_logs() as logs:
        trainer.follow_up(None, NOON)
        trainer.follow_up(None, NOON + HOUR)

    assert [entry["event"] for entry in logs] == ["challenger_not_added"]
    assert registry.state().challenger is None


def test_the_training_gives_way_to_other_work(registry):
    wait_for_niceness = (
        "import os\n"
        "while not os.getpriority(os.PRIO_PROCESS, 0): pass\n"
        "print('niceness', os.getpriority(os.PRIO_PROCESS, 0))"
    )
    trainer = Trainer(registry, running(wait_for_niceness))
    trainer.follow_up(Verdict.DRIFTED, NOON)
    trainer.wait(60)

    assert "niceness " in (registry.root / ".training" / "training.log").read_text()


def test_stopped_it_ends_its_training(registry, trained, held):
    _, command = held
    trainer = Trainer(registry, command(trained))
    trainer.follow_up(Verdict.DRIFTED, NOON)

    trainer.stop()

    assert not trainer.under_way()
    assert trainer.collect(NOON) is None


def test_the_command_goes_on_from_the_champion_with_feedback(tmp_path):
    command = train_command(tmp_path / "train.toml")(Path("/out"))

    assert command[1:] == [
        "-m", "tapewatch.cli", "train", "--config", str(tmp_path / "train.toml"),
        "--from", "champion", "--feedback", "--output", "/out",
    ]  # fmt: skip
