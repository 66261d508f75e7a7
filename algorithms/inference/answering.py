"""Answers to batches of observations: checks, one forward pass for all groups, actions and their log-probabilities."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.rows import Rows, from_named
from surreal.algorithms.environments.spaces import Leaf, Spaces
from surreal.algorithms.inference.sessions import Answer, Session
from surreal.algorithms.networks import Policy
from surreal.algorithms.types import Array
from surreal.protocol.service.rows import stack
from surreal.protocol.wire.packet import Version

Arrays = Mapping[str, Array]
WIDE = (np.float32, np.float64)


class QuestionCheck:
    """Comparison of a question with what the actors of this run ask."""

    def __init__(self, spaces: Spaces, most: int) -> None:
        """Expect observations of `spaces`, of up to `most` copies."""
        self._most, self._choices = most, sum(spaces.choices)
        self._leaves: dict[str, Leaf] = {
            ".".join(filter(None, ("observations", name))): leaf for name, leaf in spaces.leaves.items()
        }

    def problem(self, arrays: Arrays, meta: Mapping[str, Any]) -> str:
        """Return in words what is wrong with a question; empty where nothing is."""
        first = arrays.get("first")
        if first is None or first.dtype != np.bool_ or first.ndim != 1 or not 0 < len(first) <= self._most:
            return f"'first' is no array of 1 to {self._most} flags"
        if not all(type(meta.get(key)) is int and 0 <= meta[key] < 2**62 for key in ("group", "step")):
            return "'group' and 'step' are no numbers"
        for name, leaf in self._leaves.items():
            array = arrays.get(name)
            types = WIDE if leaf.dtype.kind == "f" else (leaf.dtype.type,)
            if array is None or array.shape != (len(first), *leaf.shape) or array.dtype not in types:
                found = "missing" if array is None else f"{array.dtype} {list(array.shape)}"
                return f"{name!r} is {found}, not {leaf.dtype} {[len(first), *leaf.shape]}"
        masks = arrays.get("masks")
        if masks is not None and (masks.shape != (len(first), self._choices) or masks.dtype != np.bool_):
            return f"'masks' is {masks.dtype} {list(masks.shape)}, not bool {[len(first), self._choices]}"
        return ""


class Answering:
    """The policy of one replica."""

    def __init__(self, policy: Policy, rng: np.random.Generator) -> None:
        self.policy, self._rng = policy, rng
        self.version: Version = (0, -1)
        """Version of the weights; (0, -1) before the first."""
        self._standardize: Callable[[Rows], Rows] = lambda rows: rows

    def load(self, parameters: Array, standardize: Callable[[Rows], Rows], version: Version) -> None:
        """Answer with these weights from now on."""
        self.policy.load(parameters)
        self._standardize, self.version = standardize, version

    def answer(self, questions: Sequence[Arrays], sessions: Sequence[Session], fresh: Sequence[bool]) -> None:
        """Compute the answers of some groups of equal sizes at once, and keep them in their sessions.

        Each has `actions` [copies, ...], `log_probs` [copies], the memory `states` [copies, state_size] before the step
        of a policy with memory, and `fresh`: whether that memory was not known.
        """
        joined = {name: part.reshape(-1, *part.shape[2:]) for name, part in stack(questions).items()}
        states = np.concatenate([session.state for session in sessions])
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is refused with its fragment
            outs, following = self.policy.advance(self._standardize(from_named("observations", joined)), states)
            outs = masked(outs, joined.get("masks"))
            actions = self.policy.act(outs, self.policy.noise(self._rng, outs.shape))
            log_probs = self.policy.log_prob(outs, actions)
        size = len(sessions[0].state)
        for number, (session, new) in enumerate(zip(sessions, fresh, strict=True)):
            rows = slice(number * size, (number + 1) * size)
            arrays: dict[str, Array] = {
                "actions": actions[rows],
                "log_probs": log_probs[rows],
                "fresh": np.array(new),
            }
            if self.policy.state_size:
                arrays["states"] = states[rows]
                session.state = np.array(following[rows])
            session.answer = Answer(arrays, self.version)
