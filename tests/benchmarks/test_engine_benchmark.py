"""The benchmark of the engine runs, and its answer has the shape that the table is made from."""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def test_the_quick_benchmark_measures_every_rival(tmp_path):
    command = [sys.executable, FOLDER / "bench.py", "engine", "--quick", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=280, cwd=FOLDER.parents[1])

    found = json.loads((tmp_path / "engine.json").read_text())
    assert found["machine"]["processor"]
    assert found["machine"]["commit"]
    rivals = ("pipeline, batch 1", "onnx fp32", "onnx int8", "limit of the device")
    assert {f"engine / {rival}" for rival in rivals} < set(found["ratios"])
    for rates in found["documents_per_second"].values():
        assert 0 < rates["least"] <= rates["median"] <= rates["most"]
    ours = found["answers"]["engine"]
    assert ours["other bits in other batches"] == 0
    assert ours["other topic than fp32"] < 0.05
    assert found["odd_texts"]["10,000 empty texts"]["tokens"] == 10_000
