"""The benchmark of the store runs, and its answer has the shape that readers of it rely on."""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def test_the_quick_benchmark_measures_every_case(tmp_path):
    command = [sys.executable, FOLDER / "bench.py", "store", "--quick", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=250, cwd=FOLDER.parents[1])

    found = json.loads((tmp_path / "store.json").read_text())
    assert found["benchmark"] == "store"
    assert found["server"]["fsync"] == found["server"]["synchronous_commit"] == "on"
    assert [case["workers"] for case in found["commits"]] == [1, 2]
    for case in found["commits"]:
        assert set(case["documents_per_second"]) == set(case["of_the_empty_one"]) == {"0", "5000"}
        for rates in case["documents_per_second"].values():
            assert 0 < rates["least"] <= rates["median"] <= rates["most"]
        assert case["of_the_empty_one"]["0"]["median"] == 1
        assert case["client_cpu_microseconds"]["median"] > 0
    for part in ("alone", "beside_a_worker"):
        assert found["pruning"][part]["documents"] > 0
    assert found["pruning"]["worker_meanwhile"]["least"] > 0
