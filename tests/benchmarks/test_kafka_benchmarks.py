"""The benchmarks on Kafka run, and their answers have the shape that readers of them rely on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

pytestmark = pytest.mark.acceptance


def measured(name, folder):
    command = [sys.executable, FOLDER / "bench.py", name, "--quick", "--output", folder]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=280, cwd=FOLDER.parents[1]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / f"{name}.json").read_text())


def test_consuming_alone_is_measured_in_three_ways(tmp_path):
    found = measured("kafka_consume", tmp_path)

    assert found["messages_per_second"].keys() == {
        "consume", "consume_and_decode", "kafka_source"
    }  # fmt: skip
    assert all(rates["least"] > 0 for rates in found["messages_per_second"].values())
    assert found["partitions"] == 12


def test_the_live_benchmark_measures_saturation_and_latency(tmp_path):
    found = measured("live", tmp_path)

    assert found["saturation"].keys() == {"workers_1", "workers_2"}
    assert all(of["documents_per_second"] > 0 for of in found["saturation"].values())
    latencies = found["publish_to_committed_seconds"]
    assert list(latencies) == ["at_10%", "at_50%", "at_90%"]
    for report in latencies.values():
        assert report["documents"] > 0
        assert 0 < report["p50"] <= report["p95"] <= report["p99"] <= report["p99.9"]
        assert report["p99.9"] <= report["most"]
        assert max(report["most_by_second"]) == round(report["most"], 2)
        assert sum(report["stages"]["flushes"].values()) > 0
