"""Where in a rules file a mistake stands: the line of the table and field that a message names.

It reads the file's text, not its meaning: a header that stands inside a text of several lines
may mislead it, and then the line is wrong and the message still right.
"""

import re
from dataclasses import dataclass
from itertools import takewhile

_HEADER = re.compile(r"^\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?$")
_SYNTAX = re.compile(r"\(at line (\d+), column \d+\)")
_PATH = re.compile(r"`\$\.(\w+)(?:\[(\d+)\])?(?:\.(\w+))?")
_NUMBERED = re.compile(r"\b(route|inhibition) (\d+)\b")
_NAMED = re.compile(r"^(?:two )?(?:(rule|receiver|maintenance)s?(?: are called)? )?'([^']+)'")
_OVERRIDE = re.compile(r"^rule '([^']+)', override (\d+)\b")
_SINGLE = re.compile(r"^(\w+):")
_FIELD = re.compile(r"`(\w+)`")


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    number: int
    first: int
    lines: list[str]

    def line_of(self, field: str | None) -> int:
        """The line of a field, else of the header."""
        return (self.find(field) if field else None) or self.first

    def find(self, field: str) -> int | None:
        """The line of a field."""
        start = re.compile(rf'^\s*"?{re.escape(field)}"?\s*=')
        lines = enumerate(self.lines, self.first)
        return next((number for number, line in lines if start.match(line)), None)

    def is_called(self, name: str) -> bool:
        called = re.compile(rf"""^\s*name\s*=\s*["']{re.escape(name)}["']""")
        return any(called.match(line) for line in self.lines)


def line_of(text: str, message: str) -> int | None:
    """The line (from 1) that ``message`` speaks of, without its file name; None: not known."""
    if syntax := _SYNTAX.search(message):
        return int(syntax[1])
    tables = _tables(text)
    if path := _PATH.search(message):
        return _at(tables, path[1], int(path[2] or 0), path[3])
    found = _FIELD.search(message)
    return _named(tables, message, found[1] if found else None)


def _named(tables: list["_Table"], message: str, field: str | None) -> int | None:
    """The line where a message names a table as people do."""
    if numbered := _NUMBERED.search(message):
        name = "routes" if numbered[1] == "route" else "inhibit"
        return _at(tables, name, int(numbered[2]) - 1, field)
    if override := _OVERRIDE.match(message):
        return _at_override(tables, override[1], int(override[2]), field)
    if named := _NAMED.match(message):
        kind = {"rule": "rules", "receiver": "receivers"}.get(named[1], named[1])
        found = [t for t in tables if kind in {None, t.name} and t.is_called(named[2])]
        if found:
            return found[-1 if message.startswith("two ") else 0].line_of(field)
    if single := _SINGLE.match(message):
        return _at(tables, single[1], 0, field)
    return None


def _at_override(tables: list[_Table], rule: str, number: int, field: str | None) -> int | None:
    """Overrides follow the rule that they are of."""
    names = [table.name == "rules" and table.is_called(rule) for table in tables]
    if True not in names:
        return None
    following = tables[names.index(True) + 1 :]
    own = takewhile(lambda table: table.name == "rules.overrides", following)
    found = list(own)[number - 1 : number]
    return found[0].line_of(field) if found else tables[names.index(True)].line_of("overrides")


def _at(tables: list[_Table], name: str, number: int, field: str | None) -> int | None:
    found = [table for table in tables if (table.name, table.number) == (name, number)]
    if not found:
        return tables[0].find(name)
    return found[0].line_of(field)


def _tables(text: str) -> list[_Table]:
    """The tables in order; what stands before the first header is the first."""
    tables = [_Table("", 0, 1, [])]
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            count = seen.get(header[1], 0)
            seen[header[1]] = count + 1
            tables.append(_Table(header[1], count, number, []))
        tables[-1].lines.append(line)
    return tables
