"""docs/training.md says what the recipes are."""

from pathlib import Path

import pytest

from classifier.recipe import DataSource, DistilRecipe, Recipe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def table(kind, left_out=()):
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        if name not in left_out:
            rows.append(f"| `{name}` | {shown(field)} | {field.description} |")
    return "\n".join(rows)


def shown(field):
    if field.is_required():
        return "required"
    default = field.get_default()
    if default is None or default == ():
        return "unset"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [(Recipe, ()), (DistilRecipe, Recipe.model_fields), (DataSource, ())],
    ids=["recipe", "distillation", "data"],
)
def test_the_page_lists_every_key_as_it_is(kind, left_out):
    wanted = table(kind, left_out)

    assert wanted in PAGE.read_text("utf-8"), f"put this into {PAGE.name}:\n{wanted}"
