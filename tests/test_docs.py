"""The pages: their commands parse, their links lead somewhere, their examples are true."""

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

import msgspec
import pytest
import typer.main

from alerts.common.reasons import Why
from alerts.conditions.lifecycle import State
from alerts.receivers.delivery import Reason
from alerts.receivers.receiver import Receiver
from alerts.receivers.wording import NAMES
from alerts.rules.policies import Flapping, Grouping, Inhibition, PipelinePolicy
from alerts.rules.routing import Maintenance, Matcher, Route
from alerts.rules.ruleset import (
    CompositeRule,
    SpikeRule,
    ThresholdRule,
    TrendRule,
    load_rules,
    parse_rules,
)
from alerts.telling.messages import payload
from store.alertlog import EventRow
from tapewatch.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
SHELL_ENDS = re.compile(r"[|&;<>]+")


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request):
    assert request.param.exists(), f"{request.param.name} is missing"
    return request.param


def blocks(text, *languages):
    return [content for language, content in FENCE.findall(text) if language in languages]


def commands(text):
    """The words of every `tapewatch ...` line in a shell block, up to a pipe or redirection."""
    for block in blocks(text, "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("tapewatch "):
                lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
                lexer.whitespace_split = True
                words = list(lexer)
                ends = [i for i, word in enumerate(words) if SHELL_ENDS.fullmatch(word)]
                yield words[1 : ends[0] if ends else None]


def test_every_command_parses(page):
    for name, *arguments in commands(page.read_text("utf-8")):
        if name == "--help":
            continue
        assert name in COMMANDS, f"there is no command {name!r}"
        if "--help" not in arguments:
            parse(COMMANDS[name], name, list(arguments))


def parse(command, name, arguments):
    """Have a command, and a sub-command if one is named, read its arguments."""
    context = command.make_context(name, arguments)
    if rest := [*context._protected_args, *context.args]:
        subcommands = getattr(command, "commands", {})
        assert rest[0] in subcommands, f"{name} has no {rest[0]!r}"
        parse(subcommands[rest[0]], rest[0], rest[1:])


def test_every_relative_link_leads_to_a_file(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:|#", target):
            continue
        assert (page.parent / target.partition("#")[0]).exists(), target


def test_commands_are_read_as_a_shell_reads_them():
    text = (
        "```sh\n# a note\n"
        'tapewatch classify "two words" \\\n  --json | head\n'
        "make demo\ntapewatch status # all runs\n```\n"
        "```toml\ntapewatch = 1\n```\n"
    )
    assert list(commands(text)) == [["classify", "two words", "--json"], ["status"]]


RULES_PAGE = (ROOT / "docs" / "rules.md").read_text("utf-8")
RECEIVERS_PAGE = (ROOT / "docs" / "receivers.md").read_text("utf-8")


def test_the_example_of_the_rules_page_is_a_rules_file():
    example, _ = blocks(RULES_PAGE, "toml")
    rules = parse_rules(example.encode(), "docs/rules.md", {"RISK_DESK_TOKEN": "t"})
    assert [rule.name for rule in rules.rules] == ["bank-turns-negative", "wire-is-silent"]


def test_the_example_of_every_kind_of_rule_is_a_rules_file_with_its_watch_list(tmp_path):
    (watchlist,) = blocks(RULES_PAGE, "csv")
    (tmp_path / "banks.csv").write_text(watchlist)
    (tmp_path / "rules.toml").write_text(blocks(RULES_PAGE, "toml")[1])

    rules = load_rules(tmp_path / "rules.toml").rules

    assert [rule.type for rule in rules] == ["spike", "trend", "composite"]
    assert rules[0].spellings("BRK") == ("BRK", "BRKA", "BRKB")
    assert rules[0].at("HBAN").threshold > rules[0].threshold


ALERTS_PAGE = (ROOT / "docs" / "alerts.md").read_text("utf-8")


def test_the_example_of_the_receivers_page_is_a_rules_file():
    (example,) = blocks(RECEIVERS_PAGE, "toml")
    secret = "whsec_" + "A" * 32
    environment = {
        "RISK_DESK_SECRET": secret,
        "RISK_DESK_OLD_SECRET": secret,
        "PAGER_URL": "pagerduty://INTEGRATION_KEY@API_KEY",
    }
    rules = parse_rules(example.encode(), "docs/receivers.md", environment)
    assert [receiver.name for receiver in rules.receivers] == ["console", "risk-desk", "pager"]
    assert [len(tables) for tables in (rules.routes, rules.maintenance)] == [2, 2]


def test_the_receivers_page_shows_addresses_and_names_as_they_are():
    from alerts.receivers.services import check_url  # noqa: PLC0415

    addresses = re.findall(r"^export \w+_URL='(.+)'$", RECEIVERS_PAGE, re.MULTILINE)
    assert len(addresses) == 4
    for address in addresses:
        check_url(address, "docs/receivers.md")
    (template,) = blocks(RECEIVERS_PAGE, "text")
    assert set(Template(template).get_identifiers()) <= set(NAMES)
    assert all(f"`{name}`" in RECEIVERS_PAGE for name in NAMES)
    for reason in Reason:
        assert f"| `{reason}` |" in RECEIVERS_PAGE


def fields_to_tell(struct):
    """A struct's fields; those that routes and maintenance share are told of routes."""
    shared = {f.name for f in msgspec.structs.fields(Matcher)} if struct is Maintenance else set()
    return [field for field in msgspec.structs.fields(struct) if field.name not in shared]


@pytest.mark.parametrize(
    ("struct", "page_text"),
    [
        (ThresholdRule, RULES_PAGE),
        (SpikeRule, RULES_PAGE),
        (TrendRule, RULES_PAGE),
        (CompositeRule, RULES_PAGE),
        (Receiver, RECEIVERS_PAGE),
        (Route, RECEIVERS_PAGE),
        (Maintenance, RECEIVERS_PAGE),
        (Grouping, ALERTS_PAGE),
        (Flapping, ALERTS_PAGE),
        (Inhibition, ALERTS_PAGE),
        (PipelinePolicy, ALERTS_PAGE),
    ],
)
def test_a_page_names_every_field_with_its_default(struct, page_text):
    for field in fields_to_tell(struct):
        rows = re.findall(
            rf"^\| `{field.encode_name}` \| [^|]+ \| ([^|]+) \|", page_text, re.MULTILINE
        )
        assert rows, f"no page has {struct.__name__}.{field.encode_name}"
        assert default_in_words(field) in rows


def test_the_tables_of_the_alerts_page_are_the_defaults_of_a_rules_file():
    (example,) = blocks(ALERTS_PAGE, "toml")
    rules = parse_rules(example.encode(), "docs/alerts.md", {})
    assert (rules.grouping, rules.flapping) == (Grouping(), Flapping())
    assert rules.pipeline == PipelinePolicy(receivers=rules.pipeline_receivers)
    assert len(rules.inhibit) == 1


@pytest.mark.parametrize("listed", [State, Why])
def test_the_alerts_page_lists_every_state_and_reason(listed):
    rows = set(re.findall(r"^\| `(\w+)` \|", ALERTS_PAGE, re.MULTILINE))
    assert {str(name) for name in listed} - {"nothing_new"} <= rows


def default_in_words(field):
    if field.required:
        return "required"
    made = field.default_factory
    default = field.default if made is msgspec.NODEFAULT else made()
    if default is None:
        return "unset"
    if isinstance(default, timedelta):
        seconds = int(default.total_seconds())
        units = {3600: "h", 60: "m"} if default < timedelta(days=2) else {86400: "d"}
        size = next((n for n in units if seconds and seconds % n == 0), 1)
        return f'`"{seconds // size}{units.get(size, "s")}"`'
    listed = list(default) if isinstance(default, tuple) else default
    return f"`{json.dumps(listed)}`"


def test_the_webhook_example_is_what_is_sent():
    (example,) = map(json.loads, blocks(RULES_PAGE, "json"))
    moment = {
        name: datetime.fromisoformat(example[name])
        for name in ("at", "fired_at", "window_start", "window_end")
    }
    told = ("rule", "key", "scope", "state", "reason", "severity", "value", "documents")
    event = EventRow(previous="pending", **{name: example[name] for name in told}, **moment)
    assert moment["at"].tzinfo == UTC
    assert payload(event, example["run"]) == example
