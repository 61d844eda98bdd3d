"""What is kept is not kept for too long, on a real database."""

import time

import pytest
import streamlit as st

from dashboard.common import reading

SLACK = 1.0
"""Seconds that the machine may take for itself."""


@pytest.fixture(autouse=True)
def forget():
    yield
    st.cache_data.clear()


def seconds_until(holds):
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < 30
        time.sleep(0.02)
    return time.monotonic() - begun


def test_what_is_on_screen_is_five_seconds_old_at_most():
    assert reading.REFRESH + reading.KEPT <= 5


def test_an_alert_that_fires_or_ends_is_read_within_what_is_kept(scene):
    database = scene.database
    scene.add_documents("live", 1)
    assert reading.alerts(database, "live") == []

    scene.add_alert("live", "scare", fired=1, resolved=None)
    fired = seconds_until(lambda: reading.alerts(database, "live"))
    assert reading.alerts(database, "live")[0].resolved_at is None
    scene.add_alert("live", "scare", fired=0.5, resolved=2)
    ended = seconds_until(lambda: reading.alerts(database, "live")[0].resolved_at)

    assert max(fired, ended) <= reading.KEPT + SLACK


def test_two_who_look_at_the_same_time_ask_once(scene):
    scene.add_documents("live", 1)
    first = reading.runs(scene.database)
    scene.add_documents("live", 1, hour=1)
    assert reading.runs(scene.database) == first
