"""Foreign code in our process: what an environment keeps, installs or does not end changes nothing here."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments import environment as module
from surreal.algorithms.environments import process_guard, vector
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.process_guard import at_most
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import episode_return
from surreal.protocol.transport.stats import RateLimitedLog
from tests.algorithms.environments.own.odd import Odd

Array = np.ndarray[Any, Any]


class Buffered(Odd):
    """Returns one buffer of its own for ever, and writes into the actions it was given."""

    observation_space = spaces.Box(-100, 100, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros(1, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.t = self.buffer[0] = 0
        return self.buffer, {}

    def step(self, action: Any) -> Any:
        self.t += 1
        self.buffer[0], action[0] = self.t, 99.0
        return self.buffer, 1.0, False, self.t >= 3, {}


def test_buffers_that_the_environment_keeps_are_copied() -> None:
    envs = VectorEnvironments(lambda: Environment(Buffered(), "buffered"), 2, 0)
    features = np.zeros((5, 2, 1), np.float32)
    features[0] = envs.reset()
    flags, outputs = np.zeros((4, 2), bool), np.zeros((2, 1), np.float32)
    final: list[Array] = []
    for t in range(4):
        final += envs.step(outputs, features[t + 1], np.zeros(2), flags[t], flags[t])
    assert features[:, 0, 0].tolist() == [0, 1, 2, 0, 1]
    assert [each.tolist() for each in final] == [[3.0], [3.0]]
    assert not outputs.any()


def test_an_evaluation_and_the_policy_survive_the_buffers_too() -> None:
    seen = []

    def act(features: Array) -> Array:
        seen.append(float(features[0, 0]))
        return features

    assert episode_return(Environment(Buffered(), "buffered"), act, 0, 100) == 3.0
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("when", ["made", "reset", "stepped"])
def test_the_handlers_of_a_stop_stay_ours(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ours(*_: Any) -> None:
        pass

    before = {number: signal.signal(number, ours) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if when == "made":
            monkeypatch.syspath_prepend(Path(__file__).parent / "own")
            make_env({"id": "odd:Odd", "options": {"how": "signals"}})
        else:
            env = Environment(Late(when), "late")
            env.step(0, env.reset(0)[None].copy(), 0)
        assert [signal.getsignal(number) for number in before] == [ours, ours]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Late(Odd):
    """Installs handlers of its own when it is first reset or stepped."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.how == "reset":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        if self.how == "stepped":
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        return super().step(action)


def test_a_close_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    Environment(Odd("close hangs"), "odd").close()
    assert "environment 'odd': close() failed: TimeoutError: no end after" in caplog.text
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_close_that_raises_is_logged_and_the_others_are_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = iter(["close raises", "closes"])
    note = tmp_path / "closed"
    VectorEnvironments(lambda: Environment(Odd(next(kinds), note=str(note)), "odd"), 2, 0).close()
    assert "close() failed: RuntimeError: already closed" in caplog.text
    assert note.read_text() == "closed\n"


def test_many_copies_that_hang_are_not_all_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(vector, "CLOSE_SECONDS", 0.3)
    closed: list[int] = []

    class Hanging(Odd):
        def close(self) -> None:
            closed.append(1)
            super().close()

    VectorEnvironments(lambda: Environment(Hanging("close hangs"), "odd"), 50, 0).close()
    assert 1 <= len(closed) <= 3


def test_outside_the_main_thread_a_call_has_no_limit_and_still_happens() -> None:
    called: list[int] = []
    thread = threading.Thread(target=at_most, args=(0.1, lambda: called.append(1)))
    thread.start()
    thread.join()
    assert called == [1]


def test_reset_seeds_are_new_after_the_first(tmp_path: Path) -> None:
    note = tmp_path / "seeds"
    envs = VectorEnvironments(lambda: Environment(Odd(note=str(note)), "odd"), 3, 7)
    for _ in range(4):
        envs.reset()
    seeds = note.read_text().split()
    assert seeds[:3] == ["7", "8", "9"]
    assert len(set(seeds)) == 12


def test_an_environment_that_moves_elsewhere_is_still_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "own")
    here = os.getcwd()
    try:
        make_env({"id": "odd:Odd", "options": {"how": "moves"}}).reset(0)
    finally:
        os.chdir(here)


def test_what_mujoco_warns_of_is_logged_once_and_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process_guard, "_limited", RateLimitedLog())
    env = make_env("InvertedPendulum-v5")
    env.reset(1)
    physics: Any = env._env.unwrapped
    for _ in range(3):
        physics.data.qpos[:] = 1e12
        physics.do_simulation([0.0], 1)
    env.close()
    process_guard.tell_heard()
    assert [each.message.partition(".")[0] for each in caplog.records if each.levelname == "WARNING"] == [
        "mujoco: Nan, Inf or huge value in QPOS at DOF 0"
    ]
    assert not list(tmp_path.iterdir()) and capfd.readouterr() == ("", "")


def test_a_model_that_is_written_in_an_old_way_is_information_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    process_guard._heard.extend(["compiler attribute 'a' is deprecated and will be removed"] * 8)
    process_guard.tell_heard()
    assert [(each.levelname, each.message[:30]) for each in caplog.records] == [
        ("INFO", "mujoco: compiler attribute 'a'")
    ]


def test_a_handler_of_mujoco_runs_no_python_in_which_a_signal_could_raise() -> None:
    make_env("InvertedPendulum-v5").close()
    assert type(sys.modules["mujoco"].get_mju_user_warning()).__name__ == "builtin_function_or_method"
