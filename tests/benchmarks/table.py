"""The tables of the pages, made from the JSON that the benchmarks leave; run it to print them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from measuring import RESULTS

BARS = {
    "engine / pipeline, batch 1": (6.0, "transformers' pipeline, one text at a time"),
    "engine, long-tailed / pipeline, batch 64, long-tailed": (
        3.0, "transformers' pipeline, batches of 64, every 64th text of 400 tokens",
    ),
    "engine / onnx fp32": (1.0, "ONNX Runtime, float32, batches sorted by length"),
    "engine / onnx int8": (1.0, "ONNX Runtime, dynamic int8, batches sorted by length"),
    "engine / limit of the device": (0.85, "the forward pass alone: the limit of the device"),
    "file to PostgreSQL / limit of the device": (
        0.7, "file to PostgreSQL, over the same limit",
    ),
}  # fmt: skip


def read(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return found


def engine_table(found: Mapping[str, Any]) -> Iterator[str]:
    """Ratios: median, least and most of the rounds, and the bar."""
    yield "| The engine against | Times as fast (least to most) | Bar |"
    yield "|---|---|---|"
    for name, (bar, words) in BARS.items():
        ratio = found["ratios"][name]
        spread = f"{ratio['least']:.2f} to {ratio['most']:.2f}"
        yield f"| {words} | **{ratio['median']:.2f}** ({spread}) | {bar:g} |"


def live_table(found: Mapping[str, Any]) -> Iterator[str]:
    """Latency from the scheduled publication to the commit."""
    yield "| Load, one worker | Documents/s | p50 | p95 | p99 | p99.9 |"
    yield "|---|---|---|---|---|---|"
    for name, at in found["publish_to_committed_seconds"].items():
        cells = " | ".join(f"{at[f'p{p}']:.2f} s" for p in ("50", "95", "99", "99.9"))
        share = name.removeprefix("at_").replace("%", " %")
        yield f"| {share} of saturation | {at['documents_per_second']:,.0f} | {cells} |"


def spikes_table(found: Mapping[str, Any]) -> Iterator[str]:
    """Each detector on the evaluation series, and the threshold it had."""
    yield "| Detector | Score | Precision | Recall | Median delay | False alarms a series |"
    yield "|---|---|---|---|---|---|"
    for name, at in found["detectors"].items():
        delay = at["median_delay_rows"]
        rows = "-" if delay is None else f"{delay:g} row{'' if delay == 1 else 's'}"
        mark = "**" if name == "tapewatch" else ""
        yield (
            f"| {name}, threshold {at['threshold']:g} | {mark}{at['score']:.1f}{mark} | "
            f"{at['precision']:.2f} | {at['recall']:.2f} | {rows} | "
            f"{at['false_alarms_a_series']:.1f} |"
        )


def dashboard_table(found: Mapping[str, Any]) -> Iterator[str]:
    """Each page: from the link to what it is about, to its end, and what a refresh asks."""
    yield (
        "| Page, span | In sight | All drawn | Of processors | By a server just started | "
        "Queries of a refresh |"
    )
    yield "|---|---|---|---|---|---|"
    for look in found["looks"]:
        warm, asked = look["warm"], look["refresh"]
        found = [warm[name] for name in ("painted", "settled", "processors")]
        seconds = (f"{each['median'] / 1000:.1f} s" for each in (*found, look["cold"]["painted"]))
        yield (
            f"| {look['page'].capitalize()}, {look['span']} | {' | '.join(seconds)} | "
            f"{asked['statements']}, {asked['milliseconds']['median']:.0f} ms |"
        )


def soak_table(found: Mapping[str, Any]) -> Iterator[str]:
    """What looking on for long comes to."""
    seen, gone = found["seconds_until_an_alert_is_seen"], found["seconds_until_it_is_gone"]
    yield f"| Looked on for {found['minutes']:g} minutes | Beginning | End |"
    yield "|---|---|---|"
    for name, words in (("server", "memory of the server"), ("page", "objects of the page")):
        memory = found[f"{name}_mebibytes"]
        yield f"| {words} | {memory['first']:.0f} MiB | {memory['last']:.0f} MiB |"
    elements = found["page_elements"]
    yield f"| elements of the page | {elements['first']:,} | {elements['last']:,} |"
    yield f"| an alert, until in sight and until gone: median | {_of(seen)} | {_of(gone)} |"
    yield f"| the page drawn as a whole, the heatmap drawn anew | {_runs(found)} |"


def _of(seconds: Mapping[str, float]) -> str:
    return f"{seconds['median']:.1f} s (most {seconds['most']:.1f} s)"


def _runs(found: Mapping[str, Any]) -> str:
    times = f"{found['whole_runs']} of {found['whole_runs'] + found['fragment_runs']} times"
    return f"{times} | {found['heatmap_drawn_anew']} times"


def tables() -> str:
    """Both, as they stand in README.md."""
    return "\n".join([*engine_table(read("engine")), "", *live_table(read("live"))])


if __name__ == "__main__":
    print(tables())  # noqa: T201
    for name, made in (
        ("spikes", spikes_table), ("dashboard", dashboard_table), ("soak", soak_table),
    ):  # fmt: skip
        print("\n".join(made(read(name))), end="\n\n")  # noqa: T201
