from pathlib import Path

import pytest

from tapewatch.settings import ROOT, Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """No `.env` of the machine's, and no variable of ours, reaches these tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def variable(name):
    return f"TAPEWATCH_{name.upper()}"


def table():
    """The rows of docs/settings.md as the settings say them."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = field.description.replace("|", r"\|")
        rows.append(f"| `{variable(name)}` | {shown(field.get_default())} | {meaning} |")
    return "\n".join(rows)


def shown(default):
    if default is None:
        return "unset"
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = default.relative_to(ROOT).as_posix()
    return f"`{default}`"


def test_the_page_lists_every_setting_as_it_is():
    assert table() in PAGE.read_text("utf-8"), f"put this into {PAGE.name}:\n{table()}"


def test_every_setting_has_a_description():
    assert all(field.description for field in Settings.model_fields.values())


def test_a_path_inside_the_package_is_shown_without_the_machine():
    assert shown(ROOT / "classifier" / "weights") == "`classifier/weights`"
    assert str(ROOT) not in table()


def test_without_variables_the_defaults_hold():
    for name, field in Settings.model_fields.items():
        assert getattr(Settings(), name) == field.get_default()


def test_the_environment_outranks_the_file(tmp_path, monkeypatch):
    tmp_path.joinpath(".env").write_text(
        "TAPEWATCH_KAFKA=from-file:9092\nTAPEWATCH_THREADS=3\nPOSTGRES_PASSWORD=other\n"
    )
    monkeypatch.setenv("TAPEWATCH_KAFKA", "from-environment:9092")
    settings = Settings()
    assert (settings.kafka, settings.threads) == ("from-environment:9092", 3)


def test_secrets_do_not_print(monkeypatch):
    monkeypatch.setenv("TAPEWATCH_DATABASE_URL", "postgresql://me:hush@host/db")
    monkeypatch.setenv("TAPEWATCH_KAFKA_SASL_PASSWORD", "hush")
    assert "hush" not in repr(Settings())
