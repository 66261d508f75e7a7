"""Environments return what their spaces declare, or a sentence says where they do not."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment, EnvironmentCrashedError
from surreal.protocol.errors import Fatal
from tests.algorithms.environments.own.odd import Odd


def adapted(how: str, **options: Any) -> Environment:
    return Environment(Odd(how, **options), f"odd:{how}")


def stepped(env: Environment, steps: int = 1) -> tuple[float, bool, bool]:
    rows = env.reset(0)[None].copy()
    action = env.actions(np.zeros(1, dtype=np.int64))[0]
    for _ in range(steps):
        result = env.step(action, rows, 0)
    return result


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("reset alone", r"reset\(\) returned an array of shape \(3,\) and type float64, not \(observation, info\)"),
        ("short", r"reset\(\) returned an observation of an array of shape \(2,\).*, not numbers of shape \(3,\)"),
        ("one", r"of shape \(1,\)"),
        ("row", r"of shape \(1, 3\)"),
        ("words", r"an observation of 'not seen'"),
    ],
)
def test_a_reset_that_returns_other_than_declared_is_fatal_and_says_both(how: str, said: str) -> None:
    with pytest.raises(Fatal, match=f"environment 'odd:{how}': .*{said}"):
        adapted(how).reset(0)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("four", "returned 4 values, not .*Split done into terminated and truncated"),
        ("short", r"an observation of an array of shape \(2,\)"),
        ("one", r"an observation of an array of shape \(1,\)"),
        ("no reward", "returned the reward None, not a real number"),
        ("reward pair", r"the reward an array of shape \(2,\)"),
        ("reward words", "the reward 'much', not a real number"),
        ("reward beyond", r"the reward int 1000.*\.\.\., not a real number"),
    ],
)
@pytest.mark.parametrize("at", [1, 40])
def test_a_step_that_returns_other_than_declared_is_fatal_whenever_it_does(how: str, said: str, at: int) -> None:
    env = adapted(how, at=at)
    with pytest.raises(Fatal, match=rf"environment 'odd:{how}': step\(\) .*{said}"):
        stepped(env, at)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("flag none", "terminated = None, not a bool"),
        ("flag words", "terminated = 'no', not a bool"),
        ("flag pair", r"terminated = an array of shape \(2,\) and type bool, not a bool"),
    ],
)
@pytest.mark.parametrize("at", [1, 15])
def test_flags_that_are_no_booleans_are_fatal_whenever_they_come(how: str, said: str, at: int) -> None:
    with pytest.raises(Fatal, match=rf"environment 'odd:{how}': step\(\) returned {said}"):
        stepped(adapted(how, at=at), at)


@pytest.mark.parametrize(
    ("how", "expected"), [("reward array", 1.0), ("reward numpy", 1.0), ("reward int", 1.0), ("reward vast", 1e30)]
)
def test_rewards_of_every_numeric_kind_become_floats(how: str, expected: float) -> None:
    reward, _, _ = stepped(adapted(how))
    assert reward == expected
    assert isinstance(reward, float)


@pytest.mark.parametrize("how", ["flag numpy", "flag int", "flag array"])
def test_flags_of_every_boolean_kind_are_taken(how: str) -> None:
    _, terminated, truncated = stepped(adapted(how), 20)
    assert not terminated
    assert truncated


@pytest.mark.parametrize(("how", "method"), [("raise", "RuntimeError in step: the simulator"), ("exit", "exit")])
def test_an_exception_of_the_environment_is_said_to_be_its_own(
    how: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EnvironmentCrashedError, match=f"environment 'odd:{how}' .*{method}"):
        stepped(adapted(how))
    assert "Traceback" in caplog.text


class Panics(Odd):
    """Raises what no `except Exception` catches, as bindings of Rust do."""

    def step(self, action: Any) -> Any:
        raise BaseException("the engine panicked")


def test_what_is_no_exception_to_python_is_one_of_the_environment_all_the_same() -> None:
    with pytest.raises(
        EnvironmentCrashedError, match="environment 'p' raised BaseException in step: the engine panicked"
    ):
        stepped(Environment(Panics(), "p"))


class Nested(Odd):
    """Declares a goal of two numbers; `what` is what it gives."""

    observation_space = spaces.Dict({"goal": spaces.Box(-1, 1, (2,)), "mode": spaces.Discrete(3, start=-1)})

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def _see(self) -> Any:
        return self.what


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"goal": np.zeros(2, np.float32)}, r"not with the keys \['goal', 'mode'\]"),
        ({"goal": np.zeros(3, np.float32), "mode": 0}, r"whose part \['goal'\] is of an array of shape \(3,\)"),
        ({"goal": np.zeros(2, np.float32), "mode": 7}, r"whose part \['mode'\] is of 7"),
        (np.zeros(5), r"of an array of shape \(5,\)"),
    ],
)
def test_a_part_of_a_nested_observation_is_named(what: Any, said: str) -> None:
    with pytest.raises(Fatal, match=said):
        Environment(Nested(what), "nested").reset(0)


def test_nested_observations_become_one_vector() -> None:
    env = Environment(Nested({"goal": np.array([0.5, -0.5], np.float32), "mode": np.int64(1)}), "nested")
    assert env.reset(0).tolist() == [0.5, -0.5, 0, 0, 1]


class Listed(Odd):
    """Returns its observation as a list."""

    def _see(self) -> Any:
        return [1.0, 2.0, 3.0]


def test_a_list_of_numbers_is_an_observation() -> None:
    env = Environment(Listed(), "listed")
    rows = env.reset(0)[None].copy()
    env.step(0, rows, 0)
    assert rows.tolist() == [[1.0, 2.0, 3.0]]


def test_a_gymnasium_environment_of_every_kind_passes() -> None:
    for env_id in ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "HalfCheetah-v5"):
        env = Environment(gymnasium.make(env_id, disable_env_checker=True), env_id)
        rows = env.reset(0)[None].copy()
        outputs = np.zeros(1 if env.spaces.discrete else (1, env.spaces.action), np.int64)
        env.step(env.actions(outputs)[0], rows, 0)
        assert np.isfinite(rows).all()
        env.close()


class Unpacks(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Unpacks whatever it gets, as wrappers do, before anybody can look at it."""

    def reset(self, **given: Any) -> Any:
        observation, info = self.env.reset(**given)
        return observation, info

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, info


class Undone(Odd):
    """Forgets to return from its second step on."""

    def step(self, action: Any) -> Any:
        returned = super().step(action)
        return None if self.steps > 1 else returned


class Unseeded(Odd):
    """Has a reset of before gymnasium, and a step that takes nothing."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()

    def step(self) -> Any:  # type: ignore[override]
        return super().step(0)


class OddWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises by itself over an environment that does as it should."""

    def step(self, action: Any) -> Any:
        raise ValueError("no such action")


def limited(env: Any) -> Environment:
    return Environment(gymnasium.wrappers.TimeLimit(Unpacks(env), 50), "w")


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (Odd("four", at=1), r"step\(\) returned 4 values, not .*Split done into terminated and truncated"),
        (Odd("four", at=40), r"step\(\) returned 4 values, not .*Split done into terminated and truncated"),
        (Undone(), r"step\(\) returned None, not .*Return these five"),
        (Odd("reset alone"), r"reset\(\) returned an array of shape \(3,\).*, not \(observation, info\)\. Return both"),
        (Unseeded(), r"reset\(\) must take seed= and options=, but takes \(\)\. Declare it as reset\(self, \*, seed"),
    ],
)
def test_a_broken_contract_is_told_in_the_same_sentence_below_wrappers(
    env: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Fatal, match=f"environment 'w': {said}"):
        stepped(limited(env), 50)
    assert "Traceback" not in caplog.text, "nothing of it is a riddle"


def test_methods_that_do_not_take_what_they_are_called_with_are_fatal_without_wrappers_too() -> None:
    env = Environment(Unseeded(), "bare")
    with pytest.raises(Fatal, match=r"'bare': reset\(\) must take seed= and options="):
        env.reset(0)
    with pytest.raises(Fatal, match=r"'bare': step\(\) must take an action, but takes \(\)"):
        env.step(0, np.zeros((1, 3), np.float32), 0)


@pytest.mark.parametrize(
    ("env", "said"), [(Odd("raise"), "RuntimeError in step: the simulator"), (OddWrapper(Odd()), "ValueError in step")]
)
def test_what_an_environment_or_a_wrapper_raises_by_itself_stays_a_crash(env: Any, said: str) -> None:
    with pytest.raises(EnvironmentCrashedError, match=said):
        stepped(limited(env))


class Hiccup(gymnasium.ActionWrapper[Any, Any, Any]):
    """Maps a number to a choice, and fails by itself at the third step."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.action_space, self.taken = spaces.Box(-1, 1, (1,)), 0

    def action(self, action: Any) -> Any:
        self.taken += 1
        if self.taken == 3:
            raise ValueError("sensor hiccup")
        return int(action[0] > 0)


def test_a_wrapper_that_changes_actions_and_fails_by_itself_is_a_crash() -> None:
    env = Environment(Hiccup(gymnasium.make("CartPole-v1")), "own:Hiccup")
    rows: Any = env.reset(1)
    rows = rows[None].copy()
    with pytest.raises(EnvironmentCrashedError, match="ValueError in step: sensor hiccup"):
        for _ in range(3):
            env.step(np.array([0.5], np.float32), rows, 0)


class Early(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Passes a seed alone on, and fails by itself at the second reset."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.begun = getattr(self, "begun", 0) + 1
        if self.begun == 2:
            raise ValueError("hiccup of the second reset")
        return self.env.reset(seed=seed)


class SeedAlone(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Takes no options."""

    def reset(self, seed: int | None = None) -> Any:  # type: ignore[override]
        return self.env.reset(seed=seed)


def test_a_reset_that_went_well_before_is_not_blamed_for_its_arguments() -> None:
    env = Environment(Early(SeedAlone(gymnasium.make("CartPole-v1"))), "own:Early")
    env.reset(1)
    with pytest.raises(EnvironmentCrashedError, match="ValueError in reset: hiccup of the second reset"):
        env.reset(2)
