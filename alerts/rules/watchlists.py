"""Watch-lists: files of keys with names and aliases, so that one rule covers many keys.

A CSV file with a header; the column ``key`` is needed, ``name`` and ``aliases`` (separated by
``;``) are not. Knows no bucket.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from alerts.common.fields import RulesError

MOST_ENTRIES = 20_000
_LONGEST = 200
_COLUMNS = {"key", "name", "aliases"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, what people call it, and other spellings that count as the key."""

    key: str
    name: str | None
    aliases: tuple[str, ...]


def read_watchlist(path: Path) -> list[Entry]:
    """The entries in order of the file. Raises RulesError, which names the line."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise RulesError(f"cannot read the watch-list {path}: {said}") from error
    rows = csv.DictReader(content.splitlines(), strict=True)
    found: list[Entry] = []
    seen: set[str] = set()
    try:
        _check_header(rows.fieldnames, path)
        for row in rows:
            entry = _entry(row, f"{path}:{rows.line_num}")
            for spelling in (entry.key, *entry.aliases):
                if spelling in seen:
                    raise RulesError(f"{path}:{rows.line_num}: {spelling!r} is there already")
                seen.add(spelling)
            found.append(entry)
            if len(found) > MOST_ENTRIES:
                raise RulesError(f"{path}: more than {MOST_ENTRIES:,} keys; split the list")
    except csv.Error as error:
        raise RulesError(f"{path}:{rows.line_num}: {error}") from error
    if not found:
        raise RulesError(f"{path}: the watch-list holds no key")
    return found


def _check_header(names: object, path: Path) -> None:
    columns = list(names) if isinstance(names, list) else []
    if "key" not in columns:
        raise RulesError(f"{path}:1: the header must name the column `key`")
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise RulesError(f"{path}:1: unknown column {unknown[0]!r}; there are key, name, aliases")


def _entry(row: dict[str | None, str | list[str] | None], where: str) -> Entry:
    if None in row:
        raise RulesError(f"{where}: more values than columns; put a value with commas in quotes")
    texts = {name: str(row.get(name) or "").strip() for name in sorted(_COLUMNS)}
    if not texts["key"]:
        raise RulesError(f"{where}: the key is empty")
    aliases = tuple(alias.strip() for alias in texts["aliases"].split(";") if alias.strip())
    if any(len(text) > _LONGEST for text in (texts["key"], texts["name"], *aliases)):
        raise RulesError(f"{where}: a text is longer than {_LONGEST} characters")
    return Entry(texts["key"], texts["name"] or None, aliases)
