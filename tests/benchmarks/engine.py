"""The engine beside what a user would pick instead, on the same texts with the same weights.

All run in turn in one process, so that what disturbs the machine disturbs them alike; the bars
are ratios within a round. The limit of the device is the forward pass alone, over texts that are
tokenized and sorted already, with the token budget that is best here.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import in_turn, ratio, summary
from rivals import OnnxModel, pipeline_of
from texts import feed_path, feed_texts, long_tailed

from alerts.rules.ruleset import RuleSet
from classifier.engine import Engine
from store.database import Database
from store.embedded import EmbeddedPostgres
from tapewatch.champion import SHIPPED
from tapewatch.settings import Settings
from tapewatch.wiring import Replay, keep_loaded, open_run

BUDGETS = (1024, 2048, 4096, 8192)


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001 - what bench.py calls
    """Documents/s of each, and the ratios that the bars are about."""
    count, alone, rounds = (64, 8, 1) if quick else (3000, 150, 5)
    engine = Engine(SHIPPED)
    texts = feed_texts(count)
    mixed = long_tailed(texts)
    onnx = {name: OnnxModel(engine, SHIPPED, int8=name == "int8") for name in ("fp32", "int8")}
    one = pipeline_of(engine, SHIPPED, 1, torch.float32)
    many = pipeline_of(engine, SHIPPED, 64, torch.float32)
    budget = _best_budget(engine, texts)
    with _postgres() as database:
        # The slowest follow the server, which goes on writing for a moment after a replay.
        contestants: dict[str, Callable[[], int]] = {
            "pipeline, batch 1": lambda: one(texts[:alone]),
            "pipeline, batch 64, long-tailed": lambda: many(mixed[: 8 * alone]),
            "engine, long-tailed": lambda: len(engine.score(mixed)),
            "onnx fp32": lambda: onnx["fp32"].score(texts[: count // 2]),
            "onnx int8": lambda: onnx["int8"].score(texts),
            "engine": lambda: len(engine.score(texts)),
            "limit of the device": _limit(engine, texts, budget),
            "file to PostgreSQL": _replays(database, engine, texts),
        }
        for work in contestants.values():  # warm-up
            work()
        keep_loaded()  # as workers and replays do
        rates = in_turn(contestants, rounds)
    return {
        "precision": engine.precision,
        "feed": feed_path().name,
        "documents": len(texts),
        "tokens_a_document": round(_tokens(engine, texts) / len(texts), 1),
        "tokens_a_document_long_tailed": round(_tokens(engine, mixed) / len(mixed), 1),
        "rounds": rounds,
        "best_token_budget": budget,
        "documents_per_second": {name: summary(found) for name, found in rates.items()},
        "ratios": _ratios(rates),
        "answers": _answers(engine, onnx, texts),
        "odd_texts": _odd(engine, texts, rounds),
    }


def _ratios(rates: dict[str, list[float]]) -> dict[str, Any]:
    pairs = (
        ("engine", "pipeline, batch 1"),
        ("engine, long-tailed", "pipeline, batch 64, long-tailed"),
        ("engine", "onnx fp32"),
        ("engine", "onnx int8"),
        ("engine", "limit of the device"),
        ("file to PostgreSQL", "limit of the device"),
    )
    return {f"{ours} / {theirs}": ratio(rates[ours], rates[theirs]) for ours, theirs in pairs}


def _tokens(engine: Engine, texts: Sequence[str]) -> int:
    return sum(map(len, engine.encode(texts)))


def _limit(engine: Engine, texts: Sequence[str], budget: int) -> Callable[[], int]:
    """The forward pass of ``texts``, distinct as they are, and nothing else."""
    tokens = sorted(engine.encode(texts), key=len)
    reader = engine.packed or engine.padded
    return lambda: len(reader.logits(tokens, budget)[0])


def _best_budget(engine: Engine, texts: Sequence[str]) -> int:
    work = {budget: _limit(engine, texts, budget) for budget in BUDGETS}
    rates = in_turn({str(budget): each for budget, each in work.items()}, rounds=3)
    return max(BUDGETS, key=lambda budget: sorted(rates[str(budget)])[1])


@contextmanager
def _postgres() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="tapewatch-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            with closing(Database(server.url)) as database:
                database.migrate()
                yield database
        finally:
            server.close()


def _replays(database: Database, engine: Engine, texts: Sequence[str]) -> Callable[[], int]:
    """A file of ``texts`` through the whole pipeline, into a run of its own each time."""
    folder = Path(tempfile.mkdtemp(prefix="tapewatch-bench-feed-"))
    path = folder / "feed.jsonl"
    with path.open("w") as stream:
        for number, text in enumerate(texts):
            minute = (
                f"2026-03-{10 + number // 1440 % 20}T{number // 60 % 24:02}:{number % 60:02}:00Z"
            )
            record = {"id": f"d{number}", "text": text, "published_at": minute, "source": "bench"}
            stream.write(json.dumps(record) + "\n")

    def replay() -> int:
        name = f"bench-{time.monotonic_ns()}"
        opened = open_run(database, name, path.name)
        report = Replay(database, engine, RuleSet(rules=()), Settings(), opened, path).go()
        return report.documents

    return replay


def _answers(
    engine: Engine, onnx: dict[str, OnnxModel], texts: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Shares of texts with another topic than in float32, and with other bits in other batches."""
    exact = Engine(SHIPPED, str(engine.device), precision="fp32")
    topics = len(exact.labels.topics)
    expected = exact.logits(texts)[0].argmax(1).numpy()
    found: dict[str, dict[str, float]] = {}
    ours = torch.cat(engine.logits(texts), dim=1).numpy()
    halves = [torch.cat(engine.logits(part), dim=1).numpy() for part in (texts[::2], texts[1::2])]
    again = np.empty_like(ours)
    again[::2], again[1::2] = halves
    for name, first, second in (
        ("engine", ours, again),
        *((f"onnx {n}", m.logits(texts, 32), m.logits(texts, 8)) for n, m in onnx.items()),
    ):
        found[name] = {
            "other topic than fp32": float((first[:, :topics].argmax(1) != expected).mean()),
            "other bits in other batches": float((first != second).any(axis=1).mean()),
        }
    return found


def _odd(engine: Engine, texts: Sequence[str], rounds: int) -> dict[str, dict[str, float]]:
    """What odd texts cost their neighbours: seconds beside them over seconds for their tokens."""
    odd = {
        "a text of 1 MB": ["loss " * 200_000],
        "10,000 empty texts": [" \u200b\t"] * 10_000,
        "emoji and control characters": ["📉🏳️‍🌈\x07\x1b[31m\u202e" * 40] * 50,
        "one text": [],
    }
    found = {}
    for name, strange in odd.items():
        plain = list(texts[:500]) if strange else texts[:1]
        pair = {"plain": lambda p=plain: len(engine.score(p)),
                "both": lambda p=plain, s=strange: len(engine.score([*p, *s]))}  # fmt: skip
        for work in pair.values():
            work()
        rates = in_turn(pair, rounds)
        plain_seconds = len(plain) / np.median(rates["plain"])
        both_seconds = (len(plain) + len(strange)) / np.median(rates["both"])
        found[name] = {
            "tokens": _tokens(engine, strange) if strange else 0,
            "milliseconds_plain": round(1000 * plain_seconds, 2),
            "milliseconds_added": round(1000 * (both_seconds - plain_seconds), 2),
        }
    return found
