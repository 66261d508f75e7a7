"""A checkpoint describes itself: its policy acts from the folder alone, as it did in the run, without torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms import policies
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.es.batched_policy import Layout, Policies
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.policies import load_policy
from surreal.algorithms.recording.checkpoint import MANIFEST, TENSORS, Checkpoint, Checkpoints
from surreal.algorithms.recording.policy_record import describe, space_data, space_from
from surreal.algorithms.recording.versions import changed_versions
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError

HIDDEN = [8, 7]


class Odd(gymnasium.Env[Any, Any]):
    """An environment with any spaces."""

    def __init__(self, observation: Any, action: Any) -> None:
        self.observation_space, self.action_space = observation, action


def environment(observation: Any, action: Any) -> Environment:
    return Environment(Odd(observation, action), "odd")


def standardizer(size: int) -> Standardizer:
    rng = np.random.default_rng(1)
    return Standardizer(rng.normal(size=size).astype(np.float32), rng.random(size).astype(np.float32) + 1, 10.0)


def save(folder: Path, env: Environment, network: dict[str, Any], parameters: Array, algorithm: str = "ppo") -> Path:
    """A run's folder with a checkpoint to resume from and a best policy, as the roles save them."""
    about = describe(algorithm, env, {"id": "odd"}, network, {"parameters": "updater.parameters"})
    statistics, store = standardizer(env.spaces.observation).arrays(), Checkpoints(folder / "checkpoints", 2)
    store.save(Checkpoint(20, {"updater.parameters": parameters, **statistics}, {"updates": 1}, about))
    store.save_best(10, 5.0, {"parameters": parameters * 2, **statistics}, about)
    return folder


def pair(folder: Path, observation: Any, action: Any) -> tuple[Path, Policy, Spaces]:
    """A run of ppo, and the policy that it saved as its newest."""
    env = environment(observation, action)
    shape = Shape(env.spaces, tuple(HIDDEN))
    vector = np.random.default_rng(0).normal(size=shape.size).astype(np.float32)
    policy = Policy(shape)
    policy.load(vector)
    return save(folder, env, {"kind": "pair", "hidden": HIDDEN}, vector), policy, env.spaces


BOX = spaces.Box(np.float32(-np.inf), np.float32(np.inf), (3,), np.float32)
ACTIONS = [
    spaces.Discrete(4),
    spaces.Discrete(3, start=5),
    spaces.Box(-0.5, 0.25, (2,), np.float32),
    spaces.Box(np.array([0, -3]), np.array([255, 3]), (2,), np.int32),
    spaces.Box(-1, 1, (2, 2), np.float64),
]


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_a_ppo_policy_acts_from_its_folder_in_the_environments_own_space(tmp_path: Path, action: Any) -> None:
    folder, policy, found = pair(tmp_path, BOX, action)
    loaded = load_policy(folder, "newest")
    observations = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)
    actions = loaded(observations)
    assert all(loaded.spaces.action_space.contains(one) for one in actions)
    out = policy.forward(standardizer(3)(observations))
    if isinstance(action, spaces.Discrete):
        np.testing.assert_array_equal(actions, np.argmax(out, axis=1) + action.start)
    else:
        low, high = action.low.astype(np.float64), action.high.astype(np.float64)
        spread = (low + high) / 2 + (high - low) / 2 * out.reshape(50, *action.shape)
        inside = np.clip(spread, low, high)
        np.testing.assert_allclose(actions, np.rint(inside) if action.dtype == np.int32 else inside, rtol=1e-5)
    sampled = loaded(observations, sample=True, rng=7)
    assert (sampled != actions).any()
    np.testing.assert_array_equal(sampled, loaded(observations, sample=True, rng=7))
    assert all(loaded.spaces.action_space.contains(one) for one in sampled)
    assert (loaded.about["algorithm"], loaded.about["steps"], loaded.about["score"]) == ("ppo", 20, None)


def test_the_best_policy_is_taken_before_the_newest(tmp_path: Path) -> None:
    folder, _, _ = pair(tmp_path, BOX, ACTIONS[2])
    assert load_policy(folder).about["score"] == 5.0
    assert load_policy(folder / "checkpoints").about["steps"] == 10
    assert load_policy(folder / "checkpoints" / "step-000000000020").about["steps"] == 20


@pytest.mark.parametrize(("hidden", "biased"), [([6], True), ([], False)], ids=["es", "ars"])
def test_a_policy_of_es_and_ars_acts_from_its_folder(tmp_path: Path, hidden: list[int], biased: bool) -> None:
    env = environment(BOX, ACTIONS[2])
    layout = Layout(env.spaces, tuple(hidden), biased)
    vector = np.random.default_rng(0).normal(size=layout.size).astype(np.float32)
    save(tmp_path, env, {"kind": "stack", "hidden": hidden, "biased": biased}, vector, "es")
    loaded, policies = load_policy(tmp_path, "newest"), Policies(layout, 1)
    policies.parameters[0] = vector
    observations = np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)
    one_by_one = np.concatenate([policies.act(standardizer(3)(row[None])) for row in observations])
    np.testing.assert_allclose(loaded(observations), np.clip(one_by_one, -0.5, 0.25), rtol=1e-6)
    with pytest.raises(InvalidInput, match="sample: True has no meaning for es: its policies are deterministic"):
        loaded(observations, sample=True)


OBSERVATIONS = [
    spaces.Dict({"speed": BOX, "gear": spaces.Discrete(4, start=-1)}),
    spaces.Tuple([spaces.MultiBinary(3), spaces.MultiDiscrete([2, 3])]),
    spaces.Box(-1, 1, (2, 2), np.float64),
    spaces.Discrete(5),
]


@pytest.mark.parametrize("observation", OBSERVATIONS, ids=lambda space: type(space).__name__)
def test_observations_of_any_space_are_taken_as_the_environment_gives_them(tmp_path: Path, observation: Any) -> None:
    folder, _, _ = pair(tmp_path, observation, ACTIONS[0])
    loaded = load_policy(folder)
    observation.seed(0)
    given = [observation.sample() for _ in range(6)]
    assert loaded(given).shape == (6,)
    assert loaded([]).shape == (0,)


@pytest.mark.parametrize(
    "given",
    [np.zeros(3), np.zeros((2, 4)), 3.0, "text", None, [{"a": 1}]],
    ids=["one", "wide", "number", "text", "none", "dict"],
)
def test_observations_that_do_not_fit_are_refused_in_one_sentence(tmp_path: Path, given: Any) -> None:
    folder, _, _ = pair(tmp_path, BOX, ACTIONS[0])
    with pytest.raises(InvalidInput, match=r"^observations: .* Give (an array \[n, 3\]|n observations of Box.*)\.$"):
        load_policy(folder)(given)


@pytest.mark.parametrize(
    "space",
    [*ACTIONS, *OBSERVATIONS, BOX, spaces.Box(np.array([0.0, -np.inf]), np.array([np.inf, 2.5]), (2,), np.float64)],
    ids=str,
)
def test_a_space_survives_json(space: Any) -> None:
    assert space_from(json.loads(json.dumps(space_data(space), allow_nan=False))) == space


def damage(folder: Path, **changes: Any) -> None:
    """Change the manifest of all checkpoints below `folder`."""
    for path in folder.rglob(MANIFEST):
        manifest = json.loads(path.read_text())
        for key, value in changes.items():
            if value is None:
                manifest.pop(key)
            else:
                manifest[key] = {**manifest[key], **value} if isinstance(value, dict) else value
        path.write_text(json.dumps(manifest))


def refusal(folder: Path) -> SurrealError:
    with pytest.raises(SurrealError) as caught:
        load_policy(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_folder_that_is_no_run_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        error = refusal(folder)
        assert isinstance(error, NotFound) and "is no run and no checkpoint" in str(error)
    (tmp_path / "checkpoints").mkdir()
    assert "has no checkpoint yet" in str(refusal(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "checkpoint format 2 is of a later surreal; this one reads 1. Upgrade surreal."),
        ({"policy": {"format": 9}}, "policy format 9 is of a later surreal"),
        ({"policy": None}, "does not describe its policy"),
        ({"files": None}, "is damaged: no 'files'"),
        ({"policy": {"network": {"kind": "spline"}}}, "'spline' is no kind that this surreal knows"),
        ({"policy": {"network": {"kind": "pair", "hidden": [3]}}}, "is damaged: "),
        ({"policy": {"network": {"kind": "own", "make": "m:make"}}}, "Give code=FOLDER"),
        ({"policy": {"action": {"kind": "Graph"}}}, "is damaged: unknown kind of space 'Graph'"),
        ({"policy": {"observation": 3}}, "is damaged"),
        ({"format": "one"}, "is damaged"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    folder, _, _ = pair(tmp_path, BOX, ACTIONS[0])
    damage(folder, **changes)
    error = refusal(folder)
    assert (
        words in str(error)
        and "best-000000000010" in str(error)
        or "network" in words
        or "kind" in words
        or "code" in words
    )


def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    folder, _, _ = pair(tmp_path, BOX, ACTIONS[0])
    for name, content in ((TENSORS, b"rotten"), (MANIFEST, b"{"), (MANIFEST, b"[]")):
        for path in folder.rglob(name):
            path.write_bytes(content)
        assert "is damaged" in str(refusal(folder))


def test_loading_and_using_a_policy_imports_no_torch_and_no_settings_of_trainings(tmp_path: Path) -> None:
    folder, _, _ = pair(tmp_path, BOX, ACTIONS[2])
    code = f"""
import sys, numpy
from pathlib import Path
from surreal.algorithms.policies import load_policy
print(load_policy(Path({str(folder)!r}))(numpy.zeros((4, 3))).shape)
settings = [f"surreal.algorithms.{{name}}.config" for name in ("ppo", "es", "offpolicy", "r2d2")]
print([name for name in ("torch", "tensorboard", "zmq", "mujoco", *settings) if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=200)
    assert done.stdout == "(4, 2)\n[]\n", done.stderr


def test_versions_of_what_the_environment_is_made_of_are_recorded_and_compared() -> None:
    env = make_env("HalfCheetah-v5")
    about = describe("ppo", env, {"id": "HalfCheetah-v5", "options": {}}, {"kind": "pair", "hidden": [4]})
    env.close()
    assert set(about["versions"]) >= {"surreal", "gymnasium", "mujoco", "numpy"}
    now = {**about["versions"], "mujoco": "99.0", "surreal": "99.0"}
    assert changed_versions(about, about["versions"]) == []
    assert changed_versions(about, now) == [f"mujoco {about['versions']['mujoco']} -> 99.0"]
    assert changed_versions({}, now) == []


def test_a_loaded_policy_says_what_it_is(tmp_path: Path) -> None:
    folder, _, found = pair(tmp_path, BOX, ACTIONS[2])
    loaded: policies.Policy = load_policy(folder)
    assert loaded.spaces == found
    assert loaded.about["env"] == {"id": "odd", "options": {}}
    assert loaded.about["network"] == {"kind": "pair", "hidden": HIDDEN}
