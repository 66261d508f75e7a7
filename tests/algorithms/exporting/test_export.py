"""An exported policy acts as the policy does, in onnxruntime, in TorchScript and in numpy alone."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.es.batched_policy import Layout as StackLayout
from surreal.algorithms.exporting.files import TOLERANCE, check, export, load_exported
from surreal.algorithms.offpolicy.shape import Shape as OffPolicyShape
from surreal.algorithms.policies import Policy, load_policy
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from tests.algorithms.saved import Odd, save, save_ppo

ROWS = 5
BOX = spaces.Box(np.float32(-np.inf), np.float32(np.inf), (3,), np.float32)
ARMS = spaces.Box(np.array([-0.5, 0.0], np.float32), np.array([0.25, 4.0], np.float32))
PIXELS = spaces.Box(0, 255, (40, 40, 3), np.uint8)
SMALL: Any = spaces.Box(0, 1, (10, 10, 4), np.bool_)
PARTS = spaces.Dict({"camera": spaces.Box(0, 255, (12, 12), np.uint8), "joints": BOX, "gear": spaces.Discrete(4)})


def actor_critic(folder: Path, observation: Any, action: Any, **settings: Any) -> Policy:
    return load_policy(save_ppo(folder, Odd(observation, action), **settings))


def stack(folder: Path, observation: Any, action: Any, hidden: tuple[int, ...], biased: bool) -> Policy:
    env = Environment(Odd(observation, action), "odd")
    size = StackLayout(env.spaces, hidden, biased).size
    return load_policy(save(folder, env, {"kind": "stack", "hidden": list(hidden), "biased": biased}, size))


def relu(folder: Path, observation: Any, action: Any, **settings: Any) -> Policy:
    env = Environment(Odd(observation, action), "odd")
    shape = OffPolicyShape(spaces=env.spaces, hidden=(8, 7), critics=1, **settings)
    return load_policy(save(folder, env, shape.data(), shape.acting.size))


POLICIES: dict[str, tuple[Callable[..., Policy], Any, Any, dict[str, Any]]] = {
    "ppo": (actor_critic, BOX, ARMS, {}),
    "ppo of choices": (actor_critic, BOX, spaces.Discrete(4, start=-2), {}),
    "ppo of several choices": (actor_critic, BOX, spaces.MultiDiscrete([2, 3]), {}),
    "ppo of flags": (actor_critic, BOX, spaces.MultiBinary((2, 2)), {}),
    "ppo of whole numbers": (actor_critic, BOX, spaces.Box(np.array([0, -3]), np.array([255, 3]), dtype=np.int32), {}),
    "ppo of a matrix": (actor_critic, BOX, spaces.Box(-1, 1, (2, 2), np.float64), {}),
    "any observation": (actor_critic, spaces.Dict({"speed": BOX, "gear": spaces.Discrete(4)}), ARMS, {}),
    "es": (stack, BOX, ARMS, {"hidden": (6,), "biased": True}),
    "ars": (stack, BOX, spaces.Discrete(3), {"hidden": (), "biased": False}),
    "td3": (relu, BOX, ARMS, {"kind": "deterministic"}),
    "sac": (relu, BOX, ARMS, {"kind": "gaussian", "layer_norm": True}),
    "sac of choices": (relu, BOX, spaces.Discrete(4), {"kind": "categorical"}),
    "dqn": (relu, BOX, spaces.Discrete(4), {"kind": "values", "dueling": True, "layer_norm": True}),
    "state std, squashed": (actor_critic, BOX, ARMS, {"std": "state", "squash": True, "activation": "relu"}),
    "layer norm, silu": (actor_critic, BOX, ARMS, {"layer_norm": True, "activation": "silu", "trunk": [9]}),
    "lstm": (actor_critic, BOX, ARMS, {"memory": {"kind": "lstm", "size": 5}}),
    "gru": (actor_critic, BOX, spaces.Discrete(4), {"memory": {"kind": "gru", "size": 5}}),
    "nature-cnn": (actor_critic, PIXELS, spaces.Discrete(4), {"encoder_width": 16}),
    "small-cnn": (actor_critic, SMALL, spaces.Discrete(4), {"encoder_width": 16}),
    "impala-resnet": (actor_critic, PIXELS, ARMS, {"encoder": "impala-resnet", "encoder_width": 16}),
    "parts": (actor_critic, PARTS, ARMS, {"encoders": {"joints": "mlp"}, "encoder_width": 8}),
}


def observations(policy: Policy) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {
        name: rng.integers(0, 255, (ROWS, *leaf.shape)).astype(leaf.dtype)
        if leaf.dtype.kind in "ub"
        else 3 * rng.standard_normal((ROWS, *leaf.shape), dtype=np.float32)
        for name, leaf in policy.spaces.leaves.items()
    }


def same(policy: Policy, action: Array, following: Array | None, seen: dict[str, Array], state: Array) -> None:
    """Check actions in the environment's own type, and the next state."""
    expected, next_state = policy.step(seen.get("", seen), state)
    assert (action.shape, action.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(action, expected, rtol=0, atol=TOLERANCE)
    if policy.state_size:
        assert following is not None
        np.testing.assert_allclose(following, next_state, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", POLICIES)
def test_every_kind_of_policy_acts_the_same_in_each_format(tmp_path: Path, name: str) -> None:
    from onnxruntime import InferenceSession  # type: ignore[attr-defined]

    make, observation, action, settings = POLICIES[name]
    policy, (onnx, npz) = make(tmp_path, observation, action, **settings), (tmp_path / "p.onnx", tmp_path / "p.npz")
    seen = observations(policy)
    state = np.random.default_rng(4).standard_normal((ROWS, policy.state_size), dtype=np.float32)
    export(policy, onnx, "onnx")
    export(policy, npz, "npz")

    session = InferenceSession(onnx, providers=["CPUExecutionProvider"])
    feeds = {".".join(filter(None, ("observation", part))): rows for part, rows in seen.items()}
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(names, feeds | ({"state": state} if policy.state_size else {})), strict=True))
    same(policy, found["action"], found.get("next_state"), seen, state)
    about = json.loads(session.get_modelmeta().custom_metadata_map["surreal"])
    assert (about["algorithm"], about["steps"]) == ("any", 20)

    same(policy, *load_exported(npz).step(seen.get("", seen), state), seen, state)


@pytest.mark.parametrize("name", ["ppo", "ppo of several choices", "lstm", "impala-resnet", "parts", "sac"])
def test_torchscript_acts_the_same(tmp_path: Path, name: str) -> None:
    import torch

    make, observation, action, settings = POLICIES[name]
    policy, path = make(tmp_path, observation, action, **settings), tmp_path / "p.pt"
    seen = observations(policy)
    state = np.random.default_rng(4).standard_normal((ROWS, policy.state_size), dtype=np.float32)
    with warnings.catch_warnings():
        # torch itself says that its TorchScript has no future
        warnings.simplefilter("ignore", DeprecationWarning)
        export(policy, path, "torchscript")
        extra = {"surreal.json": ""}
        loaded = torch.jit.load(path, _extra_files=extra)
    given = [torch.from_numpy(rows) for rows in seen.values()]
    found = loaded(*given, *([torch.from_numpy(state)] if policy.state_size else []))
    found = found if isinstance(found, tuple) else (found,)
    same(policy, found[0].numpy(), found[-1].numpy(), seen, state)
    assert json.loads(extra["surreal.json"])["algorithm"] == "any"


def test_a_graph_that_acts_otherwise_is_not_exported(tmp_path: Path) -> None:
    policy = actor_critic(tmp_path, BOX, ARMS)
    graph = export(policy, tmp_path / "p.npz", "npz")
    first = next(name for name, array in graph.constants.items() if array.ndim == 2)
    graph.constants[first] = graph.constants[first] * 1.01
    with pytest.raises(SurrealError, match="export: actions differ by"):
        check(policy, graph)


def test_a_file_that_is_no_policy_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", surreal=np.array([{}], dtype=object))
    for name in ("text", "other", "pickle"):
        with pytest.raises(InvalidInput, match=rf"{name}.npz: is no exported policy: .* Name an npz"):
            load_exported(tmp_path / f"{name}.npz")
    with pytest.raises(NotFound, match="there is no such file"):
        load_exported(tmp_path / "none.npz")
    policy = actor_critic(tmp_path, BOX, ARMS)
    with pytest.raises(InvalidInput, match="Name a file in a folder that you can write"):
        export(policy, tmp_path / "nowhere" / "p.npz", "npz")
    assert not list(tmp_path.glob(".*unfinished*"))


def test_observations_that_do_not_fit_an_exported_policy_are_refused(tmp_path: Path) -> None:
    export(actor_critic(tmp_path, BOX, ARMS), tmp_path / "p.npz", "npz")
    policy = load_exported(tmp_path / "p.npz")
    assert policy(np.zeros((2, 3))).shape == (2, 2)
    for wrong in (np.zeros(3), np.zeros((2, 4)), "text", None, {"a": 1}):
        with pytest.raises(InvalidInput, match=r"^observations: .* does not fit observation. Give an array \[n, 3\]"):
            policy(wrong)


PROGRAM = """
import sys
from collections.abc import Callable
from pathlib import Path
import numpy as np
from surreal.algorithms.exporting.files import export, load_exported
from surreal.algorithms.policies import load_policy
for format in ("npz", "onnx"):
    export(load_policy(Path(sys.argv[1])), Path(sys.argv[1], "p"), format)
    if format == "npz":
        load_exported(Path(sys.argv[1], "p"))(np.zeros((1, 3)))
print("torch" in sys.modules)
"""


def test_export_and_loading_do_without_torch(tmp_path: Path) -> None:
    actor_critic(tmp_path, BOX, ARMS, memory=None, layer_norm=True)
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n", done.stderr
