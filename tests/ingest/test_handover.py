import threading

import pytest

from ingest.handover import AbortedError, Flow, HandOver


@pytest.fixture
def flow():
    made = Flow()
    yield made
    made.abort()


def beside(work):
    """Run on another thread; the result lies in the list once it is through."""
    results = []

    def run():
        try:
            results.append(work())
        except AbortedError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_there_is_room_for_one_thing(flow):
    between = HandOver(flow)
    assert (between.free, len(between)) == (True, 0)

    between.put("a")

    assert (between.free, len(between)) == (False, 1)
    assert between.take() == "a"
    assert (between.free, between.take()) == (True, None)


def test_a_second_thing_waits_until_the_first_is_taken(flow):
    between = HandOver(flow)
    between.put("a")
    thread, done = beside(lambda: between.put("b"))
    thread.join(0.05)
    assert thread.is_alive()

    assert between.take() == "a"
    thread.join(30)

    assert done == [None]
    assert between.take() == "b"


def test_what_was_put_before_the_close_is_still_given_out(flow):
    between = HandOver(flow)
    thread, taken = beside(lambda: list(between))
    for thing in "abc":
        between.put(thing)
    between.close()
    thread.join(30)

    assert taken == [["a", "b", "c"]]
    assert between.ended


def test_it_has_not_ended_while_something_is_in_it(flow):
    between = HandOver(flow)
    between.put("a")
    between.close()
    assert not between.ended
    between.take()
    assert between.ended


def test_it_is_wanted_while_somebody_waits_for_the_next_thing(flow):
    between = HandOver(flow)
    assert not between.wanted
    thread, taken = beside(lambda: list(between))
    assert flow.wait(lambda: between.wanted, 30)

    between.put("a")
    assert flow.wait(lambda: between.wanted, 30)  # "a" is taken, and another is waited for

    between.close()
    thread.join(30)
    assert taken == [["a"]]
    assert not between.wanted


def test_an_abort_wakes_whoever_waits(flow):
    full, empty = HandOver(flow), HandOver(flow)
    full.put("a")
    waiting = [beside(lambda: full.put("b")), beside(lambda: list(empty))]

    flow.abort()

    for thread, results in waiting:
        thread.join(30)
        assert isinstance(results[0], AbortedError)


def test_after_an_abort_nothing_goes_through(flow):
    between = HandOver(flow)
    flow.abort()
    with pytest.raises(AbortedError):
        between.put("a")
    with pytest.raises(AbortedError):
        next(iter(between))


def test_the_first_error_is_the_one_that_is_kept(flow):
    flow.abort()
    flow.abort(ValueError("first"))
    flow.abort(ValueError("second"))
    assert str(flow.error) == "first"


def test_a_wait_ends_with_its_time_and_says_that_it_was_for_nothing(flow):
    assert flow.wait(lambda: False, 0.001) is False
    assert flow.wait(lambda: True) is True
