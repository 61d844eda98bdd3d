"""The benchmark of the spike detectors: its score by hand, its series, its table and its shape."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from measuring import ROOT
from spike_rivals import RIVALS, alerts
from spike_scoring import Tally, penalty, reward, windows
from spike_series import CALM_ROWS, DEVELOPMENT, EVALUATION, draw
from table import read, spikes_table

FOLDER = Path(__file__).parent


def score(told, starts=(3000, 8000), rows=10_000):
    tally = Tally()
    tally.add(told, starts, rows)
    return tally


@pytest.mark.parametrize(("starts", "expected"), [
    ([5000], [(4500, 5500)]), ([3000, 8000], [(2750, 3250), (7750, 8250)]),
    ([3000, 3100], [(2750, 3050), (3051, 3350)]), ([100], [(0, 600)]),
])  # fmt: skip
def test_windows_cover_a_tenth_and_never_meet(starts, expected):
    assert windows(starts, 10_000) == expected


@pytest.mark.parametrize(("told", "points"), [
    ([], 0), ([2750, 7750], 100), ([3000, 8000], 92.95), ([3000, 3001, 3100, 8000], 92.95),
    ([3250, 8250], 50.25), ([3000], 46.5), ([1000, 3000, 8000], 90.2), ([700, 3000, 8000], 92.95),
])  # fmt: skip
def test_the_score_is_0_for_silence_and_100_for_perfection(told, points):
    assert score(told).score == pytest.approx(points, abs=0.3)


def test_an_early_alert_is_worth_more_and_a_near_miss_costs_less():
    rewards = [reward(row, 100, 199) for row in range(100, 200)]
    assert rewards[0] == pytest.approx(1)
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[-1] > 0
    costs = [penalty(row, [(100, 199)]) for row in range(200, 520, 20)]
    assert costs == sorted(costs)
    assert costs[0] < 0.1
    assert penalty(50, [(100, 199)]) == 1


def test_a_tally_counts_what_was_found():
    found = score([1000, 3010, 3020]).summary()
    assert (found["precision"], found["recall"], found["median_delay_rows"]) == (0.667, 0.5, 10)
    assert (found["alerts_a_series"], found["false_alarms_a_series"]) == (3, 1)


def test_series_come_from_their_seed_alone_and_evaluation_shares_none():
    one, again = draw(7, 3000), draw(7, 3000)
    assert np.array_equal(one.counts, again.counts)
    assert one.anomalies == again.anomalies
    assert one.anomalies[0][0] >= CALM_ROWS
    assert np.all(one.counts >= 0)
    assert np.all(one.counts == one.counts.astype(int))
    assert not set(DEVELOPMENT) & set(EVALUATION)


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_find_what_is_plain_and_look_only_back(name):
    counts = np.random.default_rng(1).poisson(40, 1500).astype(float)
    counts[1200:1212] += 300
    found = RIVALS[name](counts)
    assert alerts(found, 12, 576, 144) == [1200]
    assert np.array_equal(RIVALS[name](counts[:1000]), found[:1000])


def test_the_quick_benchmark_judges_every_detector(tmp_path):
    command = [sys.executable, FOLDER / "bench.py", "spikes", "--quick", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=250, cwd=ROOT)

    found = json.loads((tmp_path / "spikes.json").read_text())
    assert set(found["detectors"]) == {"tapewatch", *RIVALS}
    for detector in found["detectors"].values():
        assert detector["score"] <= 100
        assert 0 <= detector["recall"] <= 1


def test_the_table_of_the_page_is_that_of_the_kept_result():
    page = (ROOT / "docs" / "spikes.md").read_text()
    found = read("spikes")

    assert "\n".join(spikes_table(found)) in page
    best = max(found["detectors"], key=lambda name: found["detectors"][name]["score"])
    assert best == "tapewatch"
    assert not found["machine"]["changed_since"]
