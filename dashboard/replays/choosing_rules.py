"""Which rules are compared: those in use, or a file that is uploaded and checked with its lines.

An uploaded file is only judged by: no template and nothing of the environment is read for it. Its
link names it by its digest, for as long as the keeper has it.
"""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from alerts.backtest.comparison import KnownEvent, KnownEventsError, parse_known_events
from alerts.common.fields import RulesError
from alerts.rules.ruleset import RuleSet, locate_mistakes
from alerts.rules.wording import condition, length
from dashboard.common.choices import linked, publish
from dashboard.common.frame import segments
from dashboard.common.headings import show_table
from dashboard.common.plain import plain
from dashboard.common.wording import said, worded
from dashboard.common.words import later, say, say_count
from dashboard.replays.backtests import Backtests, Rules, make_rules

RulesInUse = Callable[[], tuple[str, RuleSet]]
"""The name and the content of the rules file that is in use. Raises RulesError."""

LARGEST_RULES = 256 * 1024
LARGEST_EVENTS = 1024 * 1024
"""Bytes of an uploaded file."""

MOST_RULES = 200
_SOURCES = {"use": later("In use"), "file": later("A file")}
_DIGEST = 16


def choose_rules(
    letter: str, usual: str, backtests: Backtests, in_use: RulesInUse | None
) -> Rules | None:
    """One side's form; what was chosen, None while nothing fit was."""
    name = letter.lower()
    digest = linked(f"rules-{name}")
    if digest and digest != "use":
        usual = "file"
    with st.container(border=True, key=f"rules-{name}"):
        source = segments(say("Rules {letter}", letter=letter), f"from-{name}", _SOURCES, usual)
        try:
            chosen = _in_use(in_use) if source == "use" else _uploaded(name, backtests, digest)
        except RulesError as error:
            st.error(say("These rules cannot be judged by:"), icon=":material/error:")
            st.text(plain(str(error), 600))
            chosen = None
        if chosen is None:
            return None
        _describe(name, chosen)
    publish(
        **{f"from-{name}": source,
           f"rules-{name}": "use" if source == "use" else chosen.digest[:_DIGEST]}
    )  # fmt: skip
    return chosen


def choose_events() -> list[KnownEvent] | None:
    """An uploaded CSV of what should have been told; None without one, or where it is wrong."""
    given = st.file_uploader(
        say("CSV with the column `start`; maybe `end`, `key`, `name`"),
        type=["csv"],
        key="known-events",
        max_upload_size=1,
    )
    if given is None:
        return None
    try:
        return _events(given.name, given.size, given.getvalue())
    except KnownEventsError as error:
        st.error(say("These events cannot be used:"), icon=":material/error:")
        st.text(plain(str(error), 400))
        return None


def _events(name: str, size: int, content: bytes) -> list[KnownEvent]:
    if size > LARGEST_EVENTS:
        raise KnownEventsError(f"the file has more than {LARGEST_EVENTS:,} bytes")
    return parse_known_events(content, plain(name, 60))


def _in_use(in_use: RulesInUse | None) -> Rules:
    if in_use is None:
        raise RulesError("this dashboard was opened without rules; upload a file")
    name, rules = in_use()
    return _judged(name, rules)


def _uploaded(name: str, backtests: Backtests, digest: str) -> Rules | None:
    given = st.file_uploader(
        "Rules file (TOML)", type=["toml"], key=f"file-{name}", max_upload_size=1
    )
    if given is not None:
        if given.size > LARGEST_RULES:
            raise RulesError(f"the file has more than {LARGEST_RULES:,} bytes")
        title = plain(given.name, 60)
        rules = _judged(title, locate_mistakes(given.getvalue(), title))
        backtests.keep_rules(rules)
        return rules
    if not digest or digest == "use":
        return None
    kept = backtests.rules_of(digest)
    if kept is None:
        st.info(
            say("The rules that this link names are not kept any more: upload them again."),
            icon=":material/history:",
        )
    return kept


def _judged(name: str, rules: RuleSet) -> Rules:
    if not rules.rules:
        raise RulesError(f"{name}: there is no rule in it")
    if len(rules.rules) > MOST_RULES:
        raise RulesError(f"{name}: more than {MOST_RULES} rules; compare them in parts")
    return make_rules(name, rules)


def tabulate_rules(rules: RuleSet) -> pd.DataFrame:
    """One row a rule as it is understood, in plain text."""
    rows = [
        (plain(rule.name, 60), worded(rule.scope),
         plain(", ".join(rule.keys), 100) or say("every one"),
         plain(said(condition(rule)), 200), length(rule.window), length(rule.for_duration),
         str(rule.severity_shown or say("as found")))
        for rule in rules.rules
    ]  # fmt: skip
    columns = ["Rule", "Scope", "Keys", "Fires when", "Window", "For", "Severity"]
    return pd.DataFrame(rows, columns=columns)


def _describe(name: str, chosen: Rules) -> None:
    count = len(chosen.rules.rules)
    st.text(
        say_count(
            "{name}: {count} rule", "{name}: {count} rules", count, name=plain(chosen.name, 60)
        )
    )
    with st.expander(say("What they judge"), key=f"judged-{name}"):
        show_table(
            tabulate_rules(chosen.rules),
            key=f"rules-table-{name}",
            hide_index=True,
            height=min(250, 38 + 35 * count),
            alt=say("Rules as they are understood"),
        )
