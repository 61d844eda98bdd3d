"""What an installation holds: every package of the house, and what each imports from others."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from support.commands import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {"alerts", "classifier", "dashboard", "ingest", "store", "tapewatch"}
NAMES = {"kafka": "kafka-python", "sklearn": "scikit-learn", "PIL": "pillow"}
"""Modules that are not called like the distribution that brings them."""


def modules():
    return [path for name in OWN for path in (ROOT / name).rglob("*.py")]


def test_every_package_is_installed():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in modules()}

    assert sorted(listed) == sorted(found)


def test_every_language_of_the_dashboard_is_installed():
    (pattern,) = PROJECT["tool"]["setuptools"]["package-data"]["dashboard.common"]
    held = {path.suffix for path in (ROOT / "dashboard" / "common").rglob("*") if path.is_file()}

    assert list((ROOT / "dashboard" / "common").glob(pattern))
    assert held - {".pyc"} == {".py", ".po"}


def test_whatever_a_module_imports_is_asked_for():
    project = PROJECT["project"]
    extras = [extra for some in project["optional-dependencies"].values() for extra in some]
    asked = [re.match(r"[\w-]+", wanted)[0] for wanted in (*project["dependencies"], *extras)]
    names = {name.replace("-", "_").lower() for name in asked}

    assert {root for path in modules() for root in imported(path)} - names - OWN == set()


def imported(path: Path):
    """The distributions that a module names, those that are not Python's own."""
    for node in ast.walk(ast.parse(path.read_text())):
        found = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        found += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in found:
            root = name.partition(".")[0]
            if root not in sys.stdlib_module_names:
                yield NAMES.get(root, root).replace("-", "_").lower()
