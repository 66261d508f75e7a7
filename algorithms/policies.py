"""Trained policies: from the folder of a run or a checkpoint to a function of observations, without torch.

policy = load_policy(Path("runs/cheetah"))            # the best one that was evaluated, else the newest
actions = policy(observations)                        # [n, ...] -> actions of the environment [n, ...]
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.actions import action_map
from surreal.algorithms.environments.rows import Rows, count, mapped, stacked
from surreal.algorithms.environments.spaces import Spaces, reader
from surreal.algorithms.es.batched_policy import Layout, Policies
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import described_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.normalizers import Standardizer, over_leaves, standardized_size
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.offpolicy.shape import Shape as OffPolicyShape
from surreal.algorithms.r2d2.network import RECURRENT_VALUES, RecurrentValues, ValuePolicy
from surreal.algorithms.recording import checkpoint as checkpoints
from surreal.algorithms.recording.policy_record import FORMAT, STATISTICS, spaces_of
from surreal.algorithms.types import Array, Bool, narrowed
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError

Which = Literal["best", "newest"]
Outputs = Callable[[Any, Any, np.random.Generator | None, Bool | None], tuple[Array, Any]]
"""(Standardised observations [n, ...], state [n, ...], generator, masks [n, all choices]) -> outputs of the policy,
sampled where there is a generator, and the next state."""


class Policy:
    """A trained policy. Calling it changes nothing."""

    def __init__(
        self, outputs: Outputs, network: Any, standardize: Standardizer, spaces: Spaces, about: Mapping[str, Any]
    ) -> None:
        """Use `load_policy`."""
        self.network = network
        """The network behind it, which an export asks for its operations."""
        self.state_size: int = getattr(network, "state_size", 0)
        """Numbers that the policy remembers from step to step; 0 for one without memory."""
        self.takes_rewards = about["network"]["kind"] == RECURRENT_VALUES and self.state_size > 0
        """True where the policy takes in the last reward, see `step`."""
        self.statistics = standardize
        """Statistics of the observations."""
        self._outputs, self._standardize = outputs, over_leaves(standardize, spaces)
        self.spaces = spaces
        """Spaces of the environment that it was trained in."""
        self.about = about
        """Description: `algorithm`, `env`, `observation`, `action`, `network`, `versions`, `steps`, `score`."""
        self._read, self._actions = reader(spaces), action_map(spaces.action_space)

    def __call__(
        self,
        observations: Any,
        sample: bool = False,
        rng: np.random.Generator | int | None = None,
        masks: Any = None,
    ) -> Array:
        """Return an action [n, ...] for each of the observations [n, ...], in the environment's own action space.

        Observations are of the environment's own space: an array [n, ...], n observations of another kind, features
        [n, features] as gymnasium flattens them, or parts [n, ...] by dotted name. Actions are the likeliest ones; with
        `sample` they are drawn, by `rng` or a seed; `masks` [n, all choices] are the choices allowed. Raises
        InvalidInput for observations or masks that do not fit, for `sample` of a deterministic policy, and for a policy
        with memory: use `step`.
        """
        if self.state_size:
            raise InvalidInput("policy: it has memory. Use actions, state = policy.step(observations, state).")
        return self.step(observations, self.initial_state(0), sample, rng, masks)[0]

    def initial_state(self, n: int) -> Array:
        """Return the state [n, state_size] at the start of n episodes."""
        return np.zeros((n, self.state_size), dtype=np.float32)

    def step(
        self,
        observations: Any,
        state: Array,
        sample: bool = False,
        rng: np.random.Generator | int | None = None,
        masks: Any = None,
        rewards: Any = None,
    ) -> tuple[Array, Array]:
        """Return an action for each observation as a call does, and the next state [n, state_size].

        Begin with `initial_state(n)`; set the rows of a state to zero whose episode begins. `rewards` [n] of the last
        actions are for policies that take them in (R2D2's); left out they are 0.
        """
        rows = self._as_features(observations) if self.spaces.view == "features" else self._as_parts(observations)
        if self.state_size and np.shape(state) != (count(rows), self.state_size):
            shape = list(np.shape(state))
            raise InvalidInput(f"state: an array {shape} does not fit. Give [{count(rows)}, {self.state_size}].")
        if rewards is not None and self.takes_rewards:
            state = np.array(state)
            state[:, -1] = rewards
        allowed = None if masks is None else self._as_masks(masks, count(rows))
        generator = np.random.default_rng(rng) if sample else None
        outputs, state = self._outputs(self._standardize(rows), state, generator, allowed)
        return self._actions(outputs), state

    def _as_masks(self, masks: Any, n: int) -> Bool:
        found, choices = np.asarray(masks), sum(self.spaces.choices)
        if found.shape != (n, choices) or found.dtype.kind not in "biu":
            raise InvalidInput(f"masks: an array {list(found.shape)} does not fit. Give flags [{n}, {choices}].")
        return found.astype(np.bool_)

    def _as_parts(self, observations: Any) -> Rows:
        leaves, space = self.spaces.leaves, self.spaces.observation_space
        try:
            if isinstance(observations, dict) and set(observations) == set(leaves):
                rows: Rows = {name: np.asarray(observations[name]) for name in leaves}
            elif self._read is None:
                rows = np.asarray(observations)
            else:
                rows = stacked([mapped(np.asarray, self._read(one)) for one in observations])
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise InvalidInput(f"observations: {error}. Give n observations of {space}.") from None
        for name, leaf in leaves.items():
            array = rows[name] if isinstance(rows, dict) else rows
            if array.shape[1:] != leaf.shape or not array.ndim:
                shape = "x".join(map(str, array.shape)) or "a single number"
                raise InvalidInput(f"observations: {shape} does not fit {space}. Give an array [n, ...] of each part.")
        return mapped(lambda array: narrowed(array) if array.dtype.kind == "f" else array, rows)

    def _as_features(self, observations: Any) -> Array:
        size, space, read = self.spaces.observation, self.spaces.observation_space, self._read
        try:
            flat = isinstance(observations, np.ndarray) and observations.shape[1:] == (size,)
            if read is None or flat:
                features = np.asarray(observations)
            else:
                features = np.array([read(one) for one in observations]).reshape(-1, size)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise InvalidInput(f"observations: {error}. Give n observations of {space}.") from None
        if features.ndim != 2 or features.shape[1] != size:
            shape = "x".join(map(str, features.shape)) or "a single number"
            expected = ", ".join(map(str, ("n", *(space.shape or (size,)))))
            raise InvalidInput(f"observations: {shape} does not fit {space}. Give an array [{expected}].")
        return narrowed(features)


def load_policy(folder: Path, which: Which = "best", code: Path | None = None) -> Policy:
    """Return the policy of a run's folder, or of one checkpoint's (`checkpoints/best-000000081920`).

    `best` is the best one that was evaluated, or the newest if none was; `code` the folder of a network of one's own.
    Raises NotFound for a folder that is no run, InvalidInput for a damaged checkpoint or one of a later surreal.
    """
    found = _checkpoint_folder(Path(folder), which)
    try:
        manifest = json.loads((found / checkpoints.MANIFEST).read_text())
        about = manifest.get("policy") or {}
        _check_formats(found, manifest["format"], about)
        loaded = checkpoints.load(found)
        spaces = spaces_of(about)
        network = _network(about, spaces, loaded.arrays, code)
        return Policy(
            _outputs(network, about, spaces),
            network,
            _standardizer(about, loaded.arrays, spaces),
            spaces,
            {**about, "steps": loaded.steps, "score": loaded.state.get("score")},
        )
    except SurrealError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = str(error)
        if isinstance(error, KeyError):
            text = f"no {error}"
        elif isinstance(error, TypeError | AttributeError):
            text = "its manifest is misshapen"
        raise InvalidInput(f"{found}: is damaged: {text}. Load another checkpoint of the run.") from error


def _checkpoint_folder(folder: Path, which: Which) -> Path:
    if (folder / checkpoints.MANIFEST).is_file():
        return folder
    inner = folder if folder.name == "checkpoints" else folder / "checkpoints"
    best, newest = sorted(inner.glob("best-*")), sorted(inner.glob("step-*"))
    order = (best or newest) if which == "best" else newest
    if order:
        return order[-1]
    if inner.is_dir():
        raise NotFound(f"{folder}: has no checkpoint yet. Wait for the first one, see spec.checkpoints.everySeconds.")
    raise NotFound(f"{folder}: is no run and no checkpoint. Name a run's folder, which has checkpoints/ in it.")


def _check_formats(folder: Path, found: int, about: Mapping[str, Any]) -> None:
    for what, number, known in (("checkpoint", found, checkpoints.FORMAT), ("policy", about.get("format", 0), FORMAT)):
        if number > known:
            raise InvalidInput(
                f"{folder}: {what} format {number} is of a later surreal; this one reads {known}. Upgrade surreal."
            )
    if not about:
        raise InvalidInput(
            f"{folder}: does not describe its policy: it is a checkpoint of an earlier build. "
            "Resume the run with this surreal for a moment. It saves its checkpoints anew."
        )


def _network(about: Mapping[str, Any], spaces: Spaces, arrays: Mapping[str, Array], code: Path | None) -> Any:
    """Return the network of a policy with its parameters. Raises InvalidInput for a kind that is not known here."""
    network, parameters = about["network"], _tensor(about, arrays, "parameters")
    if network["kind"] == "stack":
        many = Policies(Layout(spaces, tuple(network["hidden"]), network["biased"]), 1)
        many.parameters[0] = parameters
        return many
    if network["kind"] == "own" and code is None:
        raise InvalidInput(
            f"code: the network of this policy is {network['make']!r}. Give code=FOLDER, where its module is."
        )
    if network["kind"] == "relu":
        made: Any = ActingPolicy(OffPolicyShape.load(network, spaces))
    elif network["kind"] == RECURRENT_VALUES:
        settings = NetworkConfig(**network["network"])
        made = ValuePolicy(RecurrentValues(spaces, settings, network["hidden"], network["dueling"]))
    else:
        layout = described_model(network, spaces, code)
        if layout is None:
            raise InvalidInput(f"network: {network['kind']!r} is no kind that this surreal knows. Upgrade surreal.")
        made = make_policy(layout)
    made.load(parameters)
    return made


def _outputs(network: Any, about: Mapping[str, Any], spaces: Spaces) -> Outputs:
    """Return the policy's function."""
    if isinstance(network, Policies):
        return lambda rows, state, rng, masks: (network.act(_deterministic(rows, rng, about), masks), state)
    if isinstance(network, ValuePolicy):
        return lambda rows, state, rng, masks: _of_values(network, _deterministic(rows, rng, about), state, masks)
    return _off_policy(network, spaces, about) if isinstance(network, ActingPolicy) else _stochastic(network, spaces)


def _of_values(policy: ValuePolicy, rows: Any, state: Any, masks: Bool | None) -> tuple[Array, Any]:
    out, state = policy.advance(rows, state)
    return policy.best(masked(out, masks)), state


def _stochastic(policy: Any, spaces: Spaces) -> Outputs:
    scaled = policy.bounded(spaces.onto_bounds)

    def outputs(rows: Any, state: Any, rng: np.random.Generator | None, masks: Bool | None) -> tuple[Array, Any]:
        out, state = policy.advance(rows, state)
        out = masked(out, masks)
        action = policy.best(out) if rng is None else policy.act(out, policy.noise(rng, out.shape))
        return np.asarray(scaled(action)), state

    return outputs


def _off_policy(policy: ActingPolicy, spaces: Spaces, about: Mapping[str, Any]) -> Outputs:
    scaled = spaces.onto_bounds

    def outputs(rows: Any, state: Any, rng: np.random.Generator | None, masks: Bool | None) -> tuple[Array, Any]:
        out = masked(policy.forward(rows), masks)
        if rng is None:
            return np.asarray(scaled(policy.best(out))), state
        if not policy.stochastic:
            _deterministic(rows, rng, about)
        return np.asarray(scaled(policy.act(out, policy.noise(rng, len(out))))), state

    return outputs


def _deterministic(features: Array, rng: np.random.Generator | None, about: Mapping[str, Any]) -> Array:
    if rng is not None:
        raise InvalidInput(
            f"sample: True has no meaning for {about['algorithm']}: its policies are deterministic. Leave it out."
        )
    return features


def _standardizer(about: Mapping[str, Any], arrays: Mapping[str, Array], spaces: Spaces) -> Standardizer:
    """Return the observation statistics; the identity for an algorithm that has none."""
    if not any(name in arrays or name in about["tensors"] for name in STATISTICS):
        return Standardizer.identity(standardized_size(spaces))
    return Standardizer.load({name: _tensor(about, arrays, name) for name in STATISTICS})


def _tensor(about: Mapping[str, Any], arrays: Mapping[str, Array], name: str) -> Array:
    return arrays[name] if name in arrays else arrays[about["tensors"][name]]
