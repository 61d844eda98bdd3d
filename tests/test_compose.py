"""The container files: what they run, read and need exists, and nothing secret is in them."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml
from support.kafka_jars import KAFKA_VERSION

from tapewatch.cli import app
from tapewatch.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SETTINGS = {f"TAPEWATCH_{name.upper()}" for name in Settings.model_fields}


def test_the_services_are_those_of_the_design():
    assert OURS.keys() == {"migrate", "worker", "alerter", "dashboard"}
    assert SERVICES.keys() - OURS.keys() == {"kafka", "kafka-topics", "postgres"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_names_its_version(name):
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.fullmatch(r"\d+(\.\d+)*", tag)


def test_kafka_is_the_version_that_the_tests_run_on():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert SERVICES["kafka-topics"]["image"] == SERVICES["kafka"]["image"]


@pytest.mark.parametrize("name", ["kafka", "postgres", "dashboard"])
def test_a_service_that_others_reach_has_a_health_check(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", ["kafka", "postgres"])
def test_what_is_stored_outlives_its_container(name):
    volumes = {mount.partition(":")[0] for mount in SERVICES[name]["volumes"]}
    assert volumes <= COMPOSE["volumes"].keys()


def test_workers_and_the_dashboard_share_the_weights_registry():
    folder = COMPOSE["x-environment"]["TAPEWATCH_MODELS_DIR"]

    for name in ("worker", "dashboard"):
        assert SERVICES[name]["volumes"] == [f"models:{folder}"]
        assert SERVICES[name]["environment"]["TAPEWATCH_MODELS_DIR"] == folder
    assert "models" in COMPOSE["volumes"]
    assert f"install --directory --owner=tapewatch {folder}" in DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come_true(name):
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "on-failure"


def test_workers_start_after_tables_and_topics():
    assert SERVICES["worker"]["depends_on"].keys() == {"migrate", "kafka-topics"}
    assert "postgres" in SERVICES["migrate"]["depends_on"]
    assert "kafka" in SERVICES["kafka-topics"]["depends_on"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists(name):
    command, *arguments = OURS[name]["command"]
    commands = typer.main.get_command(app).commands
    commands[command].make_context(command, arguments)


def test_the_topics_are_those_of_the_settings():
    script = SERVICES["kafka-topics"]["command"][-1]
    topics = Settings.model_fields["kafka_topics"].default.split(",")
    assert f"for topic in {' '.join(topics)};" in script
    assert "--if-not-exists" in script
    assert "--partitions 6" in script


@pytest.mark.parametrize("file", ["docker-compose.yml", ".env.example", "Dockerfile"])
def test_every_variable_of_ours_is_a_setting(file):
    used = set(re.findall(r"\bTAPEWATCH_[A-Z_]+", (ROOT / file).read_text("utf-8")))
    assert used <= SETTINGS


@pytest.mark.parametrize("name", OURS)
def test_a_service_gets_settings_that_are_valid(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, interpolated(value))
    settings = Settings()
    assert settings.database_url.get_secret_value().startswith("postgresql://")


def interpolated(value):
    """The value as compose would hand it over where the machine sets nothing."""
    return re.sub(r"\$\{\w+(?::([-?])([^}]*))?\}", lambda m: m[2] if m[1] == "-" else "x", value)


def test_no_secret_is_written_down():
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|WEBHOOK", variable):
                assert re.fullmatch(r"\$\{\w+:[?-][^}]*\}", value), variable
    assert not re.search(r"://[^\s/@:]+:[^\s/@]+@", COMPOSE_TEXT)
    example = (ROOT / ".env.example").read_text("utf-8")
    assert re.findall(r"^#?(\w*(?:PASSWORD|URL)\w*)=(.+)$", example, re.MULTILINE) == []


def test_the_database_asks_for_a_password():
    for service in (SERVICES["postgres"], *OURS.values()):
        values = service["environment"].values()
        assert any(value.startswith("${POSTGRES_PASSWORD:?") for value in values)


def test_the_dashboard_reads_as_a_role_that_migrate_makes_and_nobody_else_knows():
    given = {
        name: service["environment"].get("TAPEWATCH_DATABASE_READER_PASSWORD")
        for name, service in SERVICES.items()
        if "environment" in service
    }
    (password,) = {value for value in given.values() if value is not None}
    assert password.startswith("${POSTGRES_READER_PASSWORD:?")
    assert {name for name, value in given.items() if value} == {"migrate", "dashboard"}
    assert "POSTGRES_READER_PASSWORD=\n" in (ROOT / ".env.example").read_text("utf-8")


def test_the_dashboard_has_neither_kafka_nor_the_keys_of_receivers():
    environment = OURS["dashboard"]["environment"].keys()
    assert not [name for name in environment if re.search("KAFKA|WEBHOOK|RULES", name)]
    mounts = [mount.rpartition(":")[0] for mount in OURS["dashboard"]["volumes"]]
    assert mounts == ["models"]


def test_ports_are_open_to_this_machine_alone():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert "127.0.0.1:8501:8501" in ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_does_not_run_as_root():
    steps = [line.split() for line in DOCKERFILE.splitlines() if line.strip()]
    users = [step[1] for step in steps if step[0] == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert steps[-2] == ["ENTRYPOINT", '["tapewatch"]']


def test_the_image_gets_what_the_build_needs_and_no_more():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    packages = {"alerts", "classifier", "dashboard", "ingest", "store", "tapewatch"}
    assert kept == packages | {"LICENSE", "README.md", "pyproject.toml"}


def test_the_workflow_runs_what_a_person_would():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["check"]["steps"]
    assert steps[-1]["run"] == "bash .ci/run"
    for step in steps[:-1]:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"][0] == "3.11"


def test_the_ci_runs_lint_and_tests():
    script = ROOT / ".ci" / "run"
    assert re.findall(r"^step (.*)$", script.read_text("utf-8"), re.MULTILINE) == [
        "make lint",
        "make test",
    ]
    assert script.stat().st_mode & 0o100
