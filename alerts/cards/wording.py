"""What a card says: its numbers in lines for people, and the short form of it for messages. Pure.

A card is an object of JSON here, as it is kept; those of earlier versions are read too.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from alerts.common.phrases import Code, Phrase, phrase, recognized
from alerts.common.text import inert
from alerts.rules.wording import CONDITIONS

_TOLD_DRIVERS, _TOLD_LENGTH = 3, 120


def brief(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card as a message has it: the numbers, and a few headlines made inert and cut short."""
    window, rule = card["window"], card["rule"]
    numbers = ("documents", "negative", "neutral", "positive", "mean_score")
    judged = ("type", "condition", "metric", "threshold", "clear", "baseline", "band", "surprise")
    return {
        **{name: window[name] for name in numbers},
        **{name: rule.get(name) for name in judged},
        "drivers": [
            {
                "headline": inert(driver["title"] or driver["text"], _TOLD_LENGTH),
                "score": driver["score"],
                "repeats": driver["repeats"],
            }
            for driver in card["drivers"][:_TOLD_DRIVERS]
        ],
    }


def facts(card: Mapping[str, Any]) -> list[Phrase]:
    """The numbers of a card in lines for people. Names in them come from feeds: show them plain."""
    window, rule, coverage = card["window"], card["rule"], card["coverage"]
    start, end = (datetime.fromisoformat(window[edge]) for edge in ("start", "end"))
    lines = [
        phrase("Window: {start} to {end}", start=start, end=end),
        phrase(
            "Documents: {documents:,} ({negative:,} negative, {neutral:,} neutral, "
            "{positive:,} positive), mean score {score}",
            documents=window["documents"],
            negative=window["negative"],
            neutral=window["neutral"],
            positive=window["positive"],
            score=_number(window["mean_score"]),
        ),
        *_judgement(rule),
        phrase("Severity: {severity}", severity=card["severity"]),
        phrase(
            "Coverage: {minutes:,} of {of_minutes:,} minutes have documents; "
            "{allowed:g} s of lateness allowed, {late:,} of the run came later than that",
            minutes=coverage["minutes"],
            of_minutes=coverage["of_minutes"],
            allowed=coverage["allowed_lateness_seconds"],
            late=coverage["late"],
        ),
    ]
    models = ", ".join(f"{name} ({n:,})" for name, n in sorted(card["models"].items()))
    if models:
        lines.append(phrase("Models: {models}", models=models))
    if card["offsets"]:
        lines.append(phrase("Read up to: {offsets}", offsets=", ".join(card["offsets"])))
    if (count := card["examined"]) != window["documents"]:
        lines.append(phrase("Drivers and models are of {count:,} documents", count=count))
    if heaviest := card.get("words", {}).get("heaviest"):
        lines.append(phrase("Words that made them negative: {words}", words=_words(heaviest)))
    if card["drivers_pruned"]:
        lines.append(phrase("Documents that were pruned are no longer quoted"))
    return lines


def _words(heaviest: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{word['text']} {word['weight']:+.2f}" for word in heaviest)


def _judgement(rule: Mapping[str, Any]) -> list[Phrase]:
    """Cards of the first version are of thresholds, and say neither type nor condition."""
    value, limit, clear = (_number(rule.get(name)) for name in ("value", "threshold", "clear"))
    if rule.get("surprise") is not None:
        return [
            phrase(
                "Judged: {metric} {value}; usual is {baseline}, up to {upper}",
                metric=Code(rule["metric"]),
                value=value,
                baseline=_number(rule["baseline"]),
                upper=_number(rule["band"][1]),
            ),
            phrase(
                "Surprise: {surprise} (-log10 of its probability), fires from {threshold}, "
                "clear under {clear}",
                surprise=_number(rule["surprise"]),
                threshold=limit,
                clear=clear,
            ),
        ]
    if rule["metric"] is None:
        said = recognized(rule["condition"], CONDITIONS) or rule["condition"]
        return [phrase("Judged: {condition}; value {value}", condition=said, value=value)]
    return [
        phrase(
            "Judged: {metric} {value} {operator} {threshold}, clear at {clear}",
            metric=Code(rule["metric"]),
            value=value,
            operator=rule["operator"],
            threshold=limit,
            clear=clear,
        )
    ]


def _number(value: float | None) -> object:
    return Code("none") if value is None else f"{value:.4g}"
