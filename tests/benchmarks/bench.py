"""`make bench`: run the benchmarks and keep what they found as JSON.

A benchmark is a module beside this one with a function ``run(quick: bool) -> dict``; ``quick``
is for seeing that it works, its figures mean nothing.
"""

import argparse
import importlib
import sys
from pathlib import Path

from measuring import RESULTS, ROOT, write

BENCHMARKS = (
    "engine", "store", "alerting", "backtest", "kafka_consume", "live", "spikes",
    "dashboard", "soak",
)  # fmt: skip
_MODULES = {
    "store": "storing",
    "backtest": "backtesting",
    "dashboard": "looking",
    "soak": "soaking",
}
"""Modules that are not called like their benchmark: one called store would hide the package."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmarks", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="see that they work, no more")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON files")
    given = parser.parse_args()
    unknown = set(given.benchmarks) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        )
    # The packages first: beside them, the folders of their tests would pass for them.
    sys.path += [str(ROOT), str(ROOT / "tests")]
    for name in given.benchmarks or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201
        result = importlib.import_module(_MODULES.get(name, name)).run(quick=given.quick)
        print(write(name, result, given.output))  # noqa: T201


if __name__ == "__main__":
    main()
