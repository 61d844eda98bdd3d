from pathlib import Path

from measuring import ROOT
from table import BARS, dashboard_table, read, soak_table, tables


def test_the_tables_of_the_readme_are_those_of_the_kept_results():
    readme = Path(ROOT, "README.md").read_text()

    for table in tables().split("\n\n"):
        assert table in readme


def test_the_tables_of_the_dashboard_are_those_of_the_kept_results():
    page = Path(ROOT, "docs", "dashboard.md").read_text()

    assert "\n".join(dashboard_table(read("dashboard"))) in page
    assert "\n".join(soak_table(read("soak"))) in page


def test_every_kept_result_says_what_it_was_measured_on():
    for name in ("engine", "store", "live", "kafka_consume", "spikes", "dashboard", "soak"):
        machine = read(name)["machine"]
        assert machine["processor"]
        assert machine["cores"] >= 1
        assert machine["packages"]["torch"]
        assert len(machine["commit"]) == 12


def test_the_bars_are_those_that_were_measured():
    assert set(BARS) == set(read("engine")["ratios"])
