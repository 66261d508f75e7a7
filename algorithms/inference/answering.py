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
        return self._wrong_masks(arrays, len(first)) or self._wrong_last(arrays, len(first))

    def _wrong_masks(self, arrays: Arrays, copies: int) -> str:
        masks = arrays.get("masks")
        if masks is not None and (masks.shape != (copies, self._choices) or masks.dtype != np.bool_):
            return f"'masks' is {masks.dtype} {list(masks.shape)}, not bool {[copies, self._choices]}"
        return ""

    def _wrong_last(self, arrays: Arrays, copies: int) -> str:
        """Return what is wrong with the last actions and rewards, of policies that take them in."""
        actions, rewards = arrays.get("last_actions"), arrays.get("last_rewards")
        if actions is None and rewards is None:
            return ""
        if actions is None or rewards is None or actions.shape != (copies,) or rewards.shape != (copies,):
            return "'last_actions' and 'last_rewards' are not one of each copy"
        if actions.dtype != np.int64 or rewards.dtype != np.float32:
            return f"'last_actions' is {actions.dtype} and 'last_rewards' {rewards.dtype}, not int64 and float32"
        return "" if ((actions >= 0) & (actions < self._choices)).all() else "'last_actions' are no choices"


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
        if "last_actions" in joined:
            self._note(states, joined)
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is refused with its fragment
            outs, following = self.policy.advance(self._standardize(from_named("observations", joined)), states)
            outs = masked(outs, joined.get("masks"))
            actions = self.policy.act(outs, self.policy.noise(self._rng, outs.shape))
            log_probs = self.policy.log_prob(outs, actions)
        self._keep(sessions, fresh, {"actions": actions, "log_probs": log_probs, "states": states}, following)

    def _note(self, states: Array, joined: Arrays) -> None:
        """Write the last actions and rewards into the memory of copies amid an episode."""
        amid = ~joined["first"]
        inside = states[amid]
        self.policy.noted(inside, joined["last_actions"][amid], joined["last_rewards"][amid])
        states[amid] = inside

    def _keep(self, sessions: Sequence[Session], fresh: Sequence[bool], rows: Arrays, following: Array) -> None:
        """Give every session its part of the answers, and the memory after the step."""
        remembers = self.policy.state_size > 0
        names = [name for name in rows if remembers or name != "states"]
        size = len(sessions[0].state)
        for number, (session, new) in enumerate(zip(sessions, fresh, strict=True)):
            part = slice(number * size, (number + 1) * size)
            arrays = {name: rows[name][part] for name in names}
            if remembers:
                session.state = np.array(following[part])
            session.answer = Answer({**arrays, "fresh": np.array(new)}, self.version)
