"""Environments from ids, and what is said where there is none."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.options import below_code, from_file
from surreal.algorithms.environments.suites import SUITES, check_id, is_current
from surreal.protocol.errors import Fatal, InvalidInput
from surreal.protocol.transport.stats import ACTIVITY
from tests.algorithms.fabric import OWN

STUBBORN = '''
import sys
import gymnasium

class Stubborn(gymnasium.Env):
    """Raises what it is told to."""
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    tries = 0

    def __init__(self, error="", times=9):
        Stubborn.tries += 1
        if Stubborn.tries <= times:
            raise {"exit": SystemExit(0), "lost": ConnectionRefusedError("no licence server")}.get(error) or eval(error)

class Legacy:
    """No gymnasium environment."""

number = 3
'''


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("stubborn", None)


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(OWN)
    yield
    sys.modules.pop("odd", None)


@pytest.mark.parametrize("env_id", ["odd:Odd-v0", "odd:Odd", "odd:make_short"])
def test_a_registered_id_a_class_and_a_function_of_ones_own_are_ids(env_id: str) -> None:
    env = make_env({"id": env_id, "options": {"length": 3}})
    assert env.name == env_id
    rows = env.reset(0)[None].copy()
    ends = [env.step(0, rows, 0)[2] for _ in range(3)]
    assert ends == [False, False, True]


def test_a_plain_class_takes_gymnasiums_own_options_too() -> None:
    env = make_env({"id": "odd:Odd", "options": {"length": 0, "max_episode_steps": 4}})
    rows = env.reset(0)[None].copy()
    assert [env.step(0, rows, 0)[2] for _ in range(4)] == [False, False, False, True]


def test_a_name_that_the_module_does_not_have_is_fatal_and_says_what_it_has() -> None:
    with pytest.raises(
        Fatal, match=r"odd:Choice names nothing in .*odd.py \(did you mean 'Choices'\?\)\. It has: .*Odd"
    ):
        make_env("odd:Choice")


def test_each_environment_that_is_made_or_reset_counts_as_a_move() -> None:
    before = ACTIVITY.moves
    env = make_env("CartPole-v1")
    made = ACTIVITY.moves
    env.reset(0)
    env.reset()
    assert (made - before, ACTIVITY.moves - made) == (1, 2)


def test_an_environment_of_the_program_itself_is_fatal() -> None:
    with pytest.raises(Fatal, match=r"env.id: '__main__:Maze': it lives in the program .* Move it to a module\."):
        make_env("__main__:Maze")


def test_what_is_no_environment_is_fatal(stubborn: None) -> None:
    with pytest.raises(Fatal, match="must inherit from the gymnasium.Env class"):
        make_env("stubborn:Legacy")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("OSError('no such file')", "OSError: no such file"),
        ("RuntimeError('no display')", "RuntimeError: no display"),
        ("AttributeError('x')", "AttributeError: x"),
        ("KeyError('x')", "KeyError: 'x'"),
        ("AssertionError()", r"AssertionError\. Correct spec\.env"),
        ("ValueError('bad option')", r"bad option\. Correct spec\.env"),
        ("MemoryError()", r"MemoryError\. Correct spec\.env"),
        ("RecursionError('too deep')", "RecursionError: too deep"),
        ("StopIteration()", r"StopIteration\. Correct spec\.env"),
        ("BaseException('of its own kind')", "BaseException: of its own kind"),
        ("exit", r"its constructor ended the process: exit\(0\)"),
        ("lost", "ConnectionRefusedError: no licence server"),
    ],
)
def test_a_constructor_that_raises_anything_is_fatal(stubborn: None, error: str, said: str) -> None:
    with pytest.raises(Fatal, match=f"environment 'stubborn:Stubborn': cannot be made: {said}"):
        make_env({"id": "stubborn:Stubborn", "options": {"error": error}})


def test_the_ctrl_c_of_a_person_is_no_error_of_a_constructor(stubborn: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_env({"id": "stubborn:Stubborn", "options": {"error": "KeyboardInterrupt()"}})


def test_a_lost_connection_is_tried_once_more(stubborn: None) -> None:
    make_env({"id": "stubborn:Stubborn", "options": {"error": "lost", "times": 1}})


def test_any_other_error_is_not_tried_again(stubborn: None) -> None:
    with pytest.raises(Fatal):
        make_env({"id": "stubborn:Stubborn", "options": {"error": "OSError()", "times": 1}})


def test_an_unknown_environment_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match=r"no environment 'HalfCheeta-v5' \(did you mean 'HalfCheetah-v"):
        check_id("HalfCheeta-v5")


@pytest.mark.parametrize(
    ("mistyped", "nearest"),
    [
        ("HalfChetah-v4", "HalfCheetah-v4"),
        ("HalfChetah-v3", "HalfCheetah-v5"),
        ("halfcheetah", "HalfCheetah-v5"),
        ("Pendulum-v0", "Pendulum-v1"),
        ("phys2d/CartPol-v9", "phys2d/CartPole-v1"),
        ("Pong-v5", "ALE/Pong-v5"),
        ("ale/pong", "ALE/Pong-v5"),
        ("MsPacmanNoFrameskip-v4", "ALE/MsPacman-v5"),
        ("Breakout-v4", "ALE/Breakout-v5"),
        ("Breakout-v1", "MinAtar/Breakout-v1"),
        ("Lift", "robosuite/Lift"),
        ("cheetah-run", "dm_control/cheetah-run-v0"),
    ],
)
def test_the_nearest_name_is_one_that_can_be_made(mistyped: str, nearest: str) -> None:
    with pytest.raises(InvalidInput, match=rf"no environment '{mistyped}' \(did you mean '{nearest}'\?\)\. There"):
        check_id(mistyped)


def test_a_game_needs_its_prefix_also_once_its_package_registered_it_without() -> None:
    pytest.importorskip("ale_py", reason="no ale_py: pip install 'surreal[atari]'")
    assert "Breakout-v4" in gymnasium.registry
    with pytest.raises(InvalidInput, match="did you mean 'ALE/Breakout-v5'"):
        check_id("Breakout-v4")


def test_a_name_near_to_none_gets_no_hint() -> None:
    with pytest.raises(InvalidInput, match=r"no environment 'FetchReach-v3'\. There are"):
        check_id("FetchReach-v3")


def test_a_retired_version_is_refused_with_the_newest() -> None:
    for retired in ("HalfCheetah-v2", "HalfCheetah-v3"):
        with pytest.raises(InvalidInput, match=rf"'{retired}' is retired: gymnasium .* Use 'HalfCheetah-v5'\."):
            check_id(retired)


def test_an_environment_that_needs_a_package_is_left_to_the_place_of_the_run() -> None:
    for env_id in ("LunarLander-v3", "phys2d/CartPole-v1", "GymV21Environment-v0", "ALE/Pongg-v5", "Pusher-v4"):
        check_id(env_id)


def test_only_the_newest_version_without_further_packages_is_current() -> None:
    assert all(map(is_current, ("HalfCheetah-v5", "CartPole-v1", "Taxi-v4")))
    assert not any(map(is_current, ("Hopper-v4", "LunarLander-v3", "phys2d/CartPole-v1", "ALE/Pong-v5", "x:Y-v0")))


def test_ids_of_ones_own_modules_are_left_to_the_worker() -> None:
    check_id("my_module:MyEnv-v0")
    check_id("my_module:MyEnv")
    check_id("CartPole-v1")


def test_an_id_that_no_file_checked_is_refused_in_the_same_words() -> None:
    with pytest.raises(InvalidInput, match=r"no environment 'Pong-v5' \(did you mean 'ALE/Pong-v5'\?\)\. There"):
        make_env("Pong-v5")


def test_known_names_of_a_suite_are_those_of_its_package() -> None:
    for module, suite in (("ale_py", SUITES[0]), ("minatar.gym", SUITES[1])):
        if find_spec(module.partition(".")[0]):
            make_env(next(iter(suite.ids)), view="auto").close()
            assert set(suite.ids) <= set(gymnasium.registry), suite.prefix


def test_an_environment_that_cannot_be_made_is_fatal_and_says_why() -> None:
    with pytest.raises(Fatal, match="'no_such_module:Env-v0': cannot be made: No module named 'no_such_module'"):
        make_env("no_such_module:Env-v0")
    with pytest.raises(Fatal, match=r"'CartPole-v1': cannot be made: .*unexpected keyword argument 'gravity'"):
        make_env({"id": "CartPole-v1", "options": {"gravity": 3}})


def test_paths_in_options_begin_at_the_experiment_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ant.xml").touch()
    (tmp_path / "Panda").mkdir()
    given: dict[str, Any] = {
        "xml_file": "./models/ant.xml",
        "plain": "models/ant.xml",
        "nested": {"list": ["./models", "Panda", 3]},
        "name": "ant.xml",
        "text": "a" * 5000,
    }
    ant = str(tmp_path / "models" / "ant.xml")
    assert from_file(given, str(tmp_path)) == {
        "xml_file": ant,
        "plain": ant,
        "nested": {"list": [str(tmp_path / "models"), "Panda", 3]},
        "name": "ant.xml",
        "text": "a" * 5000,
    }


def test_a_path_into_the_folder_that_travels_is_written_from_there() -> None:
    options = {"a": "./src/ant.xml", "b": ["src/ant.xml"], "c": {"d": "./other.xml"}, "e": "./src", "f": 3}
    assert below_code(options, "./src") == {**options, "a": "./ant.xml", "e": "./."}
    assert below_code(options, ".") == options
    assert below_code(options, "") == options


def test_a_path_that_leads_nowhere_is_fatal_and_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"env.options.nested.xml: './no.xml' is not in .*beside the experiment file"):
        from_file({"nested": {"xml": "./no.xml"}}, str(tmp_path))


def test_a_model_of_ones_own_is_found_from_any_working_directory(tmp_path: Path) -> None:
    from gymnasium.envs import mujoco

    ant = Path(mujoco.__file__).with_name("assets") / "ant.xml"
    (tmp_path / "my_ant.xml").write_text(ant.read_text())
    env = make_env({"id": "Ant-v5", "options": {"xml_file": "./my_ant.xml"}}, str(tmp_path))
    assert env.spaces.observation == 105
    env.close()
