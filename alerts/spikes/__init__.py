"""Spike detectors over one regular series: pure, streaming, rebuilt by replaying the series.

They know no rule, no database and no clock. `docs/spikes.md` says what they promise.
"""

from alerts.spikes.detector import Detector
from alerts.spikes.parameters import Kind, Parameters, Sides, SpikeError
from alerts.spikes.verdict import Reason, Verdict

__all__ = ["Detector", "Kind", "Parameters", "Reason", "Sides", "SpikeError", "Verdict"]
