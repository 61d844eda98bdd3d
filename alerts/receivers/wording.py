"""Templates: what a message says to people. A template is a plain text file with ``$names``.

The first line of what comes out is the title where a service shows one. Nothing is executed, and
no name that is unknown gets past loading. Knows no receiver.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from alerts.common.fields import RulesError
from alerts.common.text import inert, plain

NAMES = (
    "at",
    "dedup_key",
    "documents",
    "fired_at",
    "id",
    "key",
    "link",
    "reason",
    "rule",
    "run",
    "scope",
    "severity",
    "state",
    "subject_link",
    "summary",
    "type",
    "value",
    "window_end",
    "window_start",
)
"""What a template may name."""

_TIMES = {"at", "fired_at", "window_start", "window_end"}
_LINKS = {"link", "subject_link"}
_LONGEST = {"summary": 1000, "dedup_key": 255, "link": 2000, "subject_link": 2000}
_LARGEST_FILE = 20_000


def shipped(name: str) -> Template:
    """A template of the package."""
    return Template(files("alerts.receivers").joinpath("templates", name).read_text("utf-8"))


def load_template(folder: Path, name: str, where: str) -> Template:
    """Read and check the template ``name`` in ``folder``. Raises RulesError."""
    if Path(name).name != name or name.startswith("."):
        raise RulesError(f"{where}: `template` is the name of a file in {folder}, not a path")
    path = folder / name
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise RulesError(f"{where}: cannot read the template {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RulesError(f"{where}: the template {path} is not UTF-8") from error
    template = Template(text)
    if len(content) > _LARGEST_FILE or not text.strip():
        raise RulesError(f"{where}: the template {path} is empty or over {_LARGEST_FILE} bytes")
    if not template.is_valid():
        raise RulesError(f"{where}: the template {path} has a `$` without a name; write `$$` for $")
    if unknown := sorted(set(template.get_identifiers()) - set(NAMES)):
        raise RulesError(
            f"{where}: the template {path} names {unknown[0]!r}; there are {', '.join(NAMES)}"
        )
    return template


def is_alert(payload: Mapping[str, Any]) -> bool:
    """Whether a payload tells of an alert, not of the delivery itself."""
    return str(payload.get("type", "alert")).startswith("alert")


def render(template: Template, payload: Mapping[str, Any], identity: str) -> str:
    """The text of a message. What the payload lacks is left empty; values are made inert."""
    values = {name: _shown(name, payload.get(name)) for name in NAMES}
    return template.substitute(values | {"id": identity}).strip()


def _shown(name: str, value: object) -> str:
    if name == "key" and value == "":
        return "all documents"
    if value is None:
        return ""
    if name in _TIMES and isinstance(value, str):
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, float):
        return f"{value:.2f}"
    if name in _LINKS:  # ours: made inert, it would be no link
        return plain(str(value), _LONGEST[name])
    return inert(str(value), _LONGEST.get(name, 100))
