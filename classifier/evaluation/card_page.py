"""The page of a model card: Markdown from the card's plain data. Knows no model and no file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifier.evaluation.scores import Score

Card = Mapping[str, Any]


def render(card: Card, shown: Mapping[str, tuple[str, Score]], pictures: Sequence[str]) -> str:
    """The page; ``shown`` has the test set and score of each head whose classes it lists."""
    sections = [
        [f"# {card['version']}"],
        [_about(card)],
        ["Made with:", "", "```", *card["commands"], "```"],
        _settings(card),
        ["## Results", "", _how_measured(card), "", *_results(card)],
        _teachers(card),
        _calibration(card),
        *(_classes(name, score) for name, score in shown.values()),
        [f"![{_alternative(name)}]({name})" for name in pictures],
        ["## Limitations", "", *(f"- {line}" for line in _limitations(card))],
        ["Libraries: " + ", ".join(f"{k} {v}" for k, v in card["versions"].items()) + "."],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _about(card: Card) -> str:
    context = f", context {card['context']}" if card["context"] else ""
    article = "An" if card["architecture"][0] in "AEIO" else "A"
    return (
        f"{article} {card['architecture']} with a topic head and a sentiment head on the last "
        f"token: {card['parameters'] / 1e6:.1f} million parameters, {card['layers']} layers, "
        f"{card['width']} wide, {card['vocabulary']:,} tokens{context}. {card['summary']}"
    ).strip()


def _settings(card: Card) -> list[str]:
    named = (("Base", card["base"]), ("Settings", card["settings"]))
    return [f"- {title}: {_list(values)}" for title, values in named if values]


def _how_measured(card: Card) -> str:
    rows = ", ".join(f"{count:,} {name}" for name, count in card["rows"].items())
    before = f" *Before* is {card['before']['is']}." if card["before"] else ""
    return (
        f"Rows: {rows}. {card['held_out']} Intervals are 95 % bootstrap; *majority* is the "
        f"accuracy of the commonest class.{before}{_precision(card)}"
    )


def _precision(card: Card) -> str:
    """What the figures were computed in, and what eight bits cost; old cards do not say."""
    told = f" Measured in {card['precision']}." if card.get("precision") else ""
    cost = card.get("int8")
    if cost is None:
        return told
    return (
        f"{told} Of the {cost['labels']:,} labels of development rows {cost['right']:,} are told "
        f"rightly in fp32 and {cost['right_in_int8']:,} in int8."
    )


def _results(card: Card) -> Iterator[str]:
    before = _by_test(card["before"]["tests"]) if card["before"] else {}
    earlier = ["accuracy before", "macro F1 before"] if before else []
    yield from _header(
        "test rows", "head", "rows", "majority", *earlier, "accuracy", "macro F1", "ECE"
    )
    for (test, head), score in _by_test(card["tests"]).items():
        then = before.get((test, head))
        told = [f"{then[name]:.3f}" if then else "" for name in ("accuracy", "macro_f1")]
        yield _row(
            _cell(test),
            head,
            f"{score['rows']:,}",
            f"{score['majority_accuracy']:.3f}",
            *(told if before else ()),
            _with(score["accuracy"], score["accuracy_interval"]),
            _with(score["macro_f1"], score["macro_f1_interval"]),
            f"{score['ece']:.3f}",
        )


def _teachers(card: Card) -> list[str]:
    if not card["teachers"]:
        return []
    rows = [
        _row(_cell(t["name"]), _cell(test), head, f"{s['accuracy']:.3f}", f"{s['macro_f1']:.3f}")
        for t in card["teachers"]
        for (test, head), s in _by_test(t["tests"]).items()
    ]
    unmeasured = [f"- {t['name']}" for t in card["teachers"] if not t["tests"]]
    table = [*_header("teacher", "test rows", "head", "accuracy", "macro F1"), *rows]
    return ["## Teachers", "", *unmeasured, *([""] if unmeasured else []), *(table if rows else [])]


def _calibration(card: Card) -> list[str]:
    if not card["calibration"]:
        return []
    return [
        "## Calibration",
        "",
        "One temperature a head, fitted on development rows and folded into its weights; measured "
        "on test rows, in 15 bins.",
        "",
        *_header("head", "temperature", "rows", "ECE before", "ECE after", "adaptive ECE after"),
        *(
            _row(
                head,
                f"{found['temperature']:.3f}",
                f"{found['after']['rows']:,}",
                f"{found['before']['ece']:.3f}",
                f"{found['after']['ece']:.3f}",
                f"{found['after']['adaptive_ece']:.3f}",
            )
            for head, found in card["calibration"].items()
        ),
    ]


def _classes(test: str, score: Score) -> list[str]:
    return [
        f"## Classes: {score.head}",
        "",
        f"On: {test}.",
        "",
        *_header("class", "rows", "precision", "recall", "F1"),
        *(
            _row(
                _cell(name),
                f"{found.rows:,}",
                f"{found.precision:.3f}",
                f"{found.recall:.3f}",
                _with(found.f1, found.f1_interval),
            )
            for name, found in score.classes.items()
        ),
    ]


def _limitations(card: Card) -> Iterator[str]:
    if card["context"]:
        yield f"A longer text is cut: its first {card['context'] - 1} tokens count."
    yield from card["limitations"]


def _by_test(tests: Mapping[str, Sequence[Card]]) -> dict[tuple[str, str], Card]:
    return {(test, score["head"]): score for test, of_set in tests.items() for score in of_set}


def _alternative(picture: str) -> str:
    return picture.removesuffix(".png").replace("-", " of ")


def _header(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """A name in a table; "Energy | Oil" would be two cells."""
    return text.replace("|", "\\|")


def _list(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return _list(value) if isinstance(value, Mapping) else str(value)


def _with(value: float, interval: Sequence[float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"
