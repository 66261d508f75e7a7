"""Sessions of a replica: memory advances once a step, begins anew where it must, and is nobody else's."""

import numpy as np
import pytest

from surreal.algorithms.inference.sessions import Answer, Key, OutdatedError, Session, Sessions

A, B = Key("actor/0", 0), Key("actor/0", 1)
NONE, FIRST = np.zeros(2, np.bool_), np.array([True, False])


def stepped(
    sessions: Sessions, key: Key, incarnation: int, step: int, first: np.ndarray = NONE
) -> tuple[Session, bool]:
    """A new step, which makes the memory one larger in all entries."""
    assert sessions.find(key, incarnation, step) is None
    session, fresh = sessions.begin(key, incarnation, step, first)
    session.answer = Answer({"before": session.state.copy()}, (1, step))
    session.state += 1
    return session, fresh


def test_memory_advances_once_for_each_step_and_a_step_asked_again_has_its_answer() -> None:
    sessions = Sessions(3)
    assert stepped(sessions, A, 1, 0)[1]
    session, fresh = stepped(sessions, A, 1, 1)
    assert not fresh
    assert session.state.tolist() == [[2, 2, 2], [2, 2, 2]]
    for _ in range(3):
        again = sessions.find(A, 1, 1)
        assert again is session
        assert again.answer is not None
        assert again.answer.version == (1, 1)
        assert again.state[0, 0] == 2


def test_memory_is_zero_where_an_episode_begins_and_only_there() -> None:
    sessions = Sessions(1)
    stepped(sessions, A, 1, 0)
    session, fresh = stepped(sessions, A, 1, 1, FIRST)
    assert not fresh
    assert session.answer is not None
    assert session.answer.arrays["before"].tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("incarnation", "step", "copies"),
    [(2, 1, 2), (1, 5, 2), (1, 0, 3), (1, 1, 3)],
    ids=["a new incarnation", "a gap", "a step again of other copies", "other copies"],
)
def test_memory_begins_anew_where_it_is_not_that_of_the_step_before(incarnation: int, step: int, copies: int) -> None:
    sessions = Sessions(1)
    stepped(sessions, A, 1, 0)
    session, fresh = sessions.begin(A, incarnation, step, np.zeros(copies, np.bool_))
    assert fresh
    assert session.state.tolist() == [[0]] * copies
    assert len(sessions) == 1


def test_an_older_incarnation_is_refused_and_changes_nothing() -> None:
    sessions = Sessions(1)
    stepped(sessions, A, 2, 0)
    with pytest.raises(OutdatedError, match=r"actor/0 of incarnation 1 was replaced by incarnation 2\. End it\."):
        sessions.find(A, 1, 1)
    assert not stepped(sessions, A, 2, 1)[1]


def test_groups_and_actors_have_memories_of_their_own() -> None:
    sessions = Sessions(1)
    for key in (A, B, Key("actor/1", 0)):
        stepped(sessions, key, 1, 0)
    assert stepped(sessions, A, 1, 1)[0].state[0, 0] == 2
    assert stepped(sessions, B, 1, 1, FIRST)[0].state.tolist() == [[1], [2]]
    assert len(sessions) == 3
