"""Discount of a run: a number, or one that follows how the episodes of its task end."""

from typing import Literal

AUTO = "auto"
START = 0.995
"""Discount of all tasks but those of short episodes."""
LEAST = 0.98
"""Least discount, of tasks whose episodes a time limit ends within 50 steps."""
RECENT = 200
"""Episodes that count once as much as all before them: a run may be resumed, or forked, with another time limit."""

Gamma = float | Literal["auto"]


class Discount:
    """The discount gamma: what the config says, or for `auto` what the episodes so far say.

    It is START. Where time limits cut all of them before 200 steps it is 1 - 1/H, at least LEAST, with H the mean
    length in steps of those of late: what comes later than an episode is long says little of what is done in it. A task
    that has terminated an episode keeps START, whose episodes are short only until it is learned.
    """

    def __init__(self, gamma: Gamma) -> None:
        self._said = None if gamma == AUTO else float(gamma)
        self._steps = self._episodes = 0.0
        self._terminated = 0

    @property
    def follows(self) -> bool:
        """Return True where the episodes decide."""
        return self._said is None

    @property
    def gamma(self) -> float:
        """Return the discount as of now."""
        if self._said is not None:
            return self._said
        if self._terminated or not self._episodes:
            return START
        return min(max(1 - self._episodes / self._steps, LEAST), START)

    def take_in(self, steps: int, episodes: int, terminated: int) -> None:
        """Take in `steps` in which so many `episodes` ended, of which so many terminated."""
        if self._episodes >= RECENT:
            self._steps, self._episodes = self._steps / 2, self._episodes / 2
        self._steps += steps
        self._episodes += episodes
        self._terminated += terminated

    def state(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        return {"steps": self._steps, "episodes": self._episodes, "terminated": self._terminated}

    def load(self, state: dict[str, float]) -> None:
        """Take over what `state` returned."""
        self._steps, self._episodes, self._terminated = state["steps"], state["episodes"], int(state["terminated"])
