"""Benchmarks of the alerter run, and their answers have the shape that readers of them rely on."""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def test_the_quick_benchmark_measures_a_grid_step(tmp_path):
    command = [sys.executable, FOLDER / "bench.py", "alerting", "--quick", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=250, cwd=FOLDER.parents[1])

    found = json.loads((tmp_path / "alerting.json").read_text())
    assert found["benchmark"] == "alerting"
    (case,) = found["grid_steps"]
    assert (case["rules"], case["keys"], case["judged"]) == (5, 4, 20)
    assert 0 < case["active"] < 20
    times = case["milliseconds"]
    assert 0 < times["least"] <= times["median"] <= times["most"]
    (spikes,) = found["spike_steps"]
    assert (spikes["keys"], spikes["buckets"]) == (3, 4 * 2 * 30 * 12)
    assert spikes["milliseconds"]["median"] > 0


def test_the_quick_benchmark_of_backtests_finds_what_it_judges(tmp_path):
    command = [sys.executable, FOLDER / "bench.py", "backtest", "--quick", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=250, cwd=FOLDER.parents[1])

    found = json.loads((tmp_path / "backtest.json").read_text())
    assert (found["keys"], found["minutes_with_documents"]) == (3, 3 * 40 * 1440)
    assert [case["rule"] for case in found["backtests"]] == ["threshold", "spike"]
    for case in found["backtests"]:
        assert case["events"] > 0
        assert case["seconds"]["median"] > 0
