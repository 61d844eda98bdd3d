"""A worker's metrics as Prometheus sees them: fetched over HTTP and parsed by its own parser."""

from __future__ import annotations

import socket
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels, those in the order of their names."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
