"""Requests that are sent at the same time: answers keep their order, and an error begins nothing more."""

import threading
import time

import pytest

from surreal.provisioner.kube.together import AT_ONCE, together


def test_answers_come_in_the_order_of_the_items() -> None:
    assert together(lambda number: number * number, range(50)) == [number * number for number in range(50)]
    assert together(str, [1]) == ["1"]
    assert together(str, []) == []


def test_as_many_are_under_way_at_a_time_as_may_be() -> None:
    # Each waits until all have begun: one after another, they would never meet.
    met = threading.Barrier(AT_ONCE)
    assert sorted(together(lambda _number: met.wait(60), range(AT_ONCE))) == list(range(AT_ONCE))


def test_the_first_error_is_raised_after_what_is_under_way_and_begins_nothing_more() -> None:
    met, ended = threading.Barrier(AT_ONCE), []

    def ask(number: int) -> int:
        if number < AT_ONCE:
            met.wait(60)
        else:
            # Time for the thread that failed to say so.
            time.sleep(0.01)
        if number == 0:
            raise KeyError(number)
        ended.append(number)
        return number

    with pytest.raises(KeyError):
        together(ask, range(2_000))
    assert set(range(1, AT_ONCE)) <= set(ended)
    assert len(ended) < 1_999
