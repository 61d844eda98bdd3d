"""Feeds for tests: the demo's documents, and bad records of every kind the decoder knows."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.commands import DEMO_FEED

from ingest.document import MAX_BYTES, Reason


def documents(limit: int | None = None, path: Path = DEMO_FEED) -> list[bytes]:
    """The first records of a feed."""
    with gzip.open(path, "rb") as lines:
        return [line.strip() for line in lines][:limit]


def write(path: Path, records: list[bytes]) -> Path:
    """A JSONL feed of these records."""
    path.write_bytes(b"".join(record + b"\n" for record in records))
    return path


def poison() -> dict[Reason, bytes]:
    """One bad record for each reason that a file can hold."""
    good = {"id": "bad", "text": "words", "published_at": "2026-03-10T12:00:00Z"}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    def without(name: str) -> bytes:
        return json.dumps({k: v for k, v in good.items() if k != name}).encode()

    return {
        Reason.NOT_JSON: b'{"id": "bad", "text": ',
        Reason.NOT_UTF8: b'{"id": "bad", "text": "\xff\xfe"}',
        Reason.TOO_LARGE: json.dumps({**good, "text": "x" * MAX_BYTES}).encode(),
        Reason.EMPTY_TEXT: json.dumps({**good, "text": " \t "}).encode(),
        Reason.MISSING_TEXT: without("text"),
        Reason.MISSING_DATE: without("published_at"),
        Reason.BAD_DATE: json.dumps({**good, "published_at": "last Tuesday"}).encode(),
        Reason.FUTURE_DATE: json.dumps({**good, "published_at": tomorrow}).encode(),
        Reason.BAD_FIELD: json.dumps({**good, "kind": "rumour"}).encode(),
    }


def with_poison(records: list[bytes], every: int) -> tuple[list[bytes], dict[int, Reason]]:
    """The records with a bad one after each `every` good ones, and where each bad one stands."""
    bad = list(poison().items())
    mixed: list[bytes] = []
    placed: dict[int, Reason] = {}
    for number, record in enumerate(records):
        mixed.append(record)
        if number % every == every - 1:
            reason, payload = bad[len(placed) % len(bad)]
            placed[len(mixed)] = reason
            mixed.append(payload)
    return mixed, placed
