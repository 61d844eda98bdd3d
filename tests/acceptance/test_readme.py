"""The README's commands do what it says, in the order in which a newcomer would type them."""

import gzip
import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.commands import DEMO_FEED, tapewatch
from support.feeds import documents

pytestmark = pytest.mark.acceptance

README = Path(__file__).resolve().parents[2] / "README.md"


def commands(section):
    """The `tapewatch` commands of a section's first block of shell."""
    text = README.read_text("utf-8").split(f"## {section}\n", 1)[1]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    found = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words[1:] for words in found if words and words[0] == "tapewatch"]


def test_the_commands_for_daily_use_run_one_after_the_other(database_url, tmp_path):
    (tmp_path / "texts.jsonl").write_bytes(b"\n".join(documents(50)))
    with gzip.open(tmp_path / "feed.jsonl.gz", "wb") as feed:
        feed.write(b"\n".join(documents(400)))
    used = commands("Use it")
    assert {words[0] for words in used} >= {"classify", "replay", "alerts", "digest"}
    said = [tapewatch(*words, folder=tmp_path, database_url=database_url).stdout for words in used]
    assert "negative" in said[0]
    assert len((tmp_path / "predictions.jsonl").read_bytes().splitlines()) == 50
    assert re.fullmatch(r"[0-9a-f]{64}\n", said[-1])


def test_the_demo_is_described_as_it_is(database_url, tmp_path):
    """Not to the last digit: processors that compute in bfloat16 round otherwise."""
    shutil.copy(DEMO_FEED, tmp_path)
    shown = re.search(r"```text\n(2026.*?)```", README.read_text("utf-8"), re.DOTALL)[1]
    described = events(shown)
    printed = events(tapewatch("demo", "--exit", database_url=database_url).stdout)

    assert described
    for event, (at, value) in described.items():
        assert event in printed
        told_at, told_value = printed[event]
        assert abs(told_at - at) <= timedelta(minutes=15), event
        assert told_value == pytest.approx(value, abs=0.15), event


def events(text):
    """When each alert's state, rule and key was told, and at which value."""
    line = re.compile(
        r"^(\S+ \S+) UTC (\w+) (.+?), value ([\d.]+), \d+ documents, (severity \d+ \(\w+\))$",
        re.MULTILINE,
    )
    return {
        (state, alert, how): (datetime.fromisoformat(at).replace(tzinfo=UTC), float(value))
        for at, state, alert, value, how in line.findall(text)
    }
