"""``models``, ``promote`` and ``rollback``: which weights there are, and which of them serve."""

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from classifier.continual.promotion import Card, Decision, Reason, decide, read_card
from classifier.continual.registry import (
    NoChallengerError,
    Note,
    Registry,
    RegistryError,
    Role,
    State,
    version_of,
)
from tapewatch import console
from tapewatch.champion import fixed_weights, open_registry
from tapewatch.commands.options import Json, RulesFile
from tapewatch.lineup import watched_topics
from tapewatch.settings import Settings
from tapewatch.wiring import load_engine, read_rules

Cards = tuple[Card, Card]
"""The champion's and the challenger's."""


class PromotionRefusedError(RegistryError):
    """The challenger is worse than the champion, or it cannot be told that it is not."""


def models(
    add: Annotated[
        Path | None,
        typer.Option("--add", help="Take the weights of this folder in, as the challenger."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the versions of the weights, who serves, and the main figures of their cards."""
    settings = Settings()
    registry = open_registry(settings)
    if add is not None:
        version = registry.add(add)
        registry.challenge(version, _note(f"added from {add.name}"))
    rows = [_describe(registry, name) for name in registry.versions()]
    fixed = fixed_weights(settings)
    if as_json:
        history = msgspec.to_builtins(registry.state().history)
        serving = version_of(fixed) if fixed else registry.champion()
        console.print_json({"serving": serving, "versions": rows, "history": history})
        return
    _show(rows)
    if fixed is not None:
        console.output.print(f"TAPEWATCH_WEIGHTS is set: {fixed} serves, whoever is champion.")


def promote(
    version: Annotated[
        str | None, typer.Argument(help="Version to promote; by default the challenger.")
    ] = None,
    rules: RulesFile = None,
    force: Annotated[
        str | None,
        typer.Option("--force", help="Promote whatever speaks against it, for this reason."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Measure both anew: a folder of the public sets, or a file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the challenger the champion, unless it is worse on the fixed test sets."""
    settings = Settings()
    registry = open_registry(settings)
    champion, chosen = registry.champion(), version or _challenger(registry.state())
    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason: it goes into the history")
    folders = registry.champion_folder(), registry.folder(chosen)
    cards = read_card(folders[0]), read_card(folders[1])
    watched = watched_topics(read_rules(settings, rules), cards[0].labels.topics)
    _must_load(settings, folders[1], chosen)
    if data is not None:
        cards = _measured(settings, cards, folders, data)
    decision = decide(*cards, watched)
    promoted = decision.promotes or (
        force is not None and decision.reason is not Reason.SAME_VERSION
    )
    if promoted:
        reason = str(decision.reason) if decision.promotes else f"forced: {force}"
        registry.promote(chosen, _note(reason), against=champion)
    _report(decision, champion, chosen, promoted=promoted, as_json=as_json)
    if not promoted:
        raise PromotionRefusedError(refusal(decision, chosen))


def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the history.")] = (
        "rolled back by hand"
    ),
    as_json: Json = False,
) -> None:
    """Undo the last promotion: the champion from before serves again."""
    registry = open_registry(Settings())
    champion = registry.champion()
    serving = registry.rollback(_note(reason), against=champion)
    if as_json:
        console.print_json({"rolled_back": champion, "champion": serving})
    else:
        console.output.print(f"{champion} is rolled back; {serving} serves again")


def refusal(decision: Decision, version: str) -> str:
    """What speaks against a promotion, and what to do next."""
    hint = {
        Reason.NOT_COMPARABLE: "; `--data PATH` measures both anew on the same rows",
        Reason.NOT_MEASURED: "; `--data PATH` measures both anew on the same rows",
        Reason.SAME_VERSION: "",
    }.get(decision.reason, "; `--force REASON` promotes it all the same")
    details = "; ".join(objection.detail for objection in decision.objections)
    return f"{version} is not promoted, {decision.reason}: {details}{hint}"


def _challenger(state: State) -> str:
    if state.challenger is None:
        raise NoChallengerError(
            "there is no challenger: name a version of `tapewatch models`, or add weights with "
            "`tapewatch models --add FOLDER`"
        )
    return state.challenger


def _must_load(settings: Settings, folder: Path, version: str) -> None:
    """Weights that cannot be loaded, or are not what their card says, never serve, forced or not.

    Raises WeightsError or RegistryError.
    """
    loaded = load_engine(settings, folder, "cpu")
    if loaded.version != version:
        raise RegistryError(
            f"the weights in {folder} are {loaded.version!r}, not {version!r}: they were changed "
            "after their card was written; train them anew"
        )


def _measured(settings: Settings, cards: Cards, folders: tuple[Path, Path], data: Path) -> Cards:
    """Both cards with scores on the same test rows: the public ones, or a share of a file's."""
    from classifier.data.public import has_topics, is_public  # noqa: PLC0415
    from classifier.data.rows import gather  # noqa: PLC0415
    from classifier.evaluation.scores import as_json as scores_as_json  # noqa: PLC0415 - takes seconds
    from classifier.evaluation.scores import evaluate  # noqa: PLC0415
    from classifier.labels import Labels  # noqa: PLC0415
    from classifier.recipe import DataSource, Recipe  # noqa: PLC0415

    if cards[0].labels != cards[1].labels:
        raise RegistryError(
            f"{cards[0].version} and {cards[1].version} have other labels: no row carries both; "
            "look at each with `tapewatch evaluate`, and promote with --force if it fits"
        )
    labels = Labels(cards[0].labels.topics, cards[0].labels.sentiments)
    if is_public(data) and has_topics(data) and labels.topics != Labels().topics:
        raise RegistryError(f"the rows in {data} do not carry the topics of {cards[0].version}")
    source = DataSource(path=str(data))
    tests = gather(Recipe(data=(source,)), labels).splits.tests
    measured = []
    for card, folder in zip(cards, folders, strict=True):
        engine = load_engine(settings, folder)
        scores = {name: evaluate(engine, rows) for name, rows in tests.items()}
        plain = msgspec.to_builtins(card) | {"tests": scores_as_json(scores)}
        measured.append(msgspec.convert(plain, Card))
    return measured[0], measured[1]


def _report(
    decision: Decision, champion: str, version: str, *, promoted: bool, as_json: bool
) -> None:
    if as_json:
        outcome = {"version": version, "against": champion, "promoted": promoted}
        plain = asdict(decision)
        console.print_json({**outcome, "reason": str(decision.reason), **plain})
        return
    if decision.comparisons:
        columns = ("test", "head", "figure", champion, "at least", version, "")
        rows = [
            (
                c.test,
                c.head,
                c.figure,
                f"{c.champion:.3f}",
                f"{c.least:.3f}",
                f"{c.challenger:.3f}",
                "worse" if c.worse else "",
            )
            for c in decision.comparisons
        ]
        console.print_table("Champion and challenger", columns, rows)
    if promoted:
        console.output.print(f"{version} is the champion now; workers take it up between batches")


def _describe(registry: Registry, version: str) -> dict[str, Any]:
    """One version for the list; a card that cannot be read is said to be so, not fatal."""
    state = registry.state()
    champion = state.champion or registry.shipped_version()
    roles = [
        *([str(Role.CHAMPION)] if version == champion else []),
        *([str(Role.CHALLENGER)] if version == state.challenger else []),
        *(["shipped"] if version == registry.shipped_version() else []),
    ]
    row: dict[str, Any] = {"version": version, "roles": roles}
    try:
        folder = registry.folder(version)
        card = read_card(folder)
    except RegistryError as error:
        return {**row, "error": str(error), "tests": {}}
    tests = {
        name: [
            {"head": s.head, "rows": s.rows, "accuracy": s.accuracy, "macro_f1": s.macro_f1}
            for s in scores
        ]
        for name, scores in card.tests.items()
    }
    return {**row, "folder": str(folder), "made_on": card.made_on, "tests": tests}


def _show(rows: Sequence[dict[str, Any]]) -> None:
    tests = list(dict.fromkeys(test for row in rows for test in row["tests"]))
    cells = [
        (
            row["version"],
            ", ".join(row["roles"]),
            row.get("error") or row["made_on"],
            *("\n".join(map(_figures, row["tests"].get(test, []))) for test in tests),
        )
        for row in rows
    ]
    title = "Weights: accuracy / macro F1 by test set"
    console.print_table(title, ("version", "role", "made on", *tests), cells)


def _figures(score: dict[str, Any]) -> str:
    return f"{score['head']} {score['accuracy']:.3f} / {score['macro_f1']:.3f}"


def _note(reason: str) -> Note:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # KeyError before Python 3.13
        user = "unknown"
    return Note(datetime.now(UTC), user, reason)
