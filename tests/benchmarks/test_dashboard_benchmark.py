"""The benchmarks of the dashboard run, and their answers have the shape that readers rely on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import asked_by
from spending import spent
from sqlalchemy import text

from store.runs import list_runs

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What both found of one small year."""
    folder = tmp_path_factory.mktemp("found")
    kept = {**os.environ, "TAPEWATCH_BENCH_DATA": str(tmp_path_factory.mktemp("year"))}
    command = [sys.executable, FOLDER / "bench.py", "dashboard", "soak", "--quick"]
    done = subprocess.run(
        [*command, "--output", folder], check=False, capture_output=True, text=True, timeout=280,
        cwd=FOLDER.parents[1], env=kept,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        name: json.loads((folder / f"{name}.json").read_text()) for name in ("dashboard", "soak")
    }


def test_pages_are_timed_cold_and_warm_and_their_questions_counted(found):
    (look,) = found["dashboard"]["looks"]
    for how in ("cold", "warm"):
        assert 0 < look[how]["painted"]["median"] <= look[how]["settled"]["median"]
        assert look[how]["processors"]["least"] > 0
    assert look["refresh"]["statements"] > 10
    assert look["refresh"]["milliseconds"]["median"] > 0
    assert "views.read_bins" in look["refresh"]["of_which"]
    assert found["dashboard"]["held"]["documents"] == 20_000


def test_looking_on_is_measured_by_memory_runs_and_how_late_an_alert_is(found):
    soak = found["soak"]
    assert soak["fragment_runs"] > 0
    assert soak["whole_runs"] == 0
    for memory in (soak["server_mebibytes"], soak["page_mebibytes"]):
        assert 0 < memory["first"] <= memory["most"]
    for seconds in (soak["seconds_until_an_alert_is_seen"], soak["seconds_until_it_is_gone"]):
        assert 0 < seconds["least"] <= seconds["most"]


def test_processors_are_counted_of_a_process_and_of_all_that_it_began():
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    before = spent([os.getpid()])
    subprocess.run([sys.executable, "-c", started], check=True, timeout=60)
    assert spent([os.getpid()]) - before >= 0.25
    with subprocess.Popen([sys.executable, "-c", busy + "\ninput()"], stdin=subprocess.PIPE) as one:
        deadline = time.monotonic() + 60
        while spent([one.pid]) < 0.25 and time.monotonic() < deadline:
            time.sleep(0.05)
        alone = spent([one.pid])
        one.communicate(b"\n", timeout=60)
    assert 0.25 <= alone < 10


def test_every_question_is_timed_under_the_name_of_who_asks(database):
    with asked_by(database) as questions, database.transaction() as connection:
        list_runs(connection)
        connection.execute(text("select pg_sleep(0.05)"))
    with database.transaction() as connection:
        list_runs(connection)

    assert [each.asker for each in questions] == [
        "database.transaction", "runs.list_runs", "?"
    ]  # fmt: skip
    assert questions[2].milliseconds >= 50
