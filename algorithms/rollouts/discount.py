"""Discount of a run: a number, or one that follows how the episodes of its task end and how well values know them."""

from math import isfinite
from typing import Literal

AUTO = "auto"
START = 0.995
"""Discount of all tasks but those of short episodes, and of long ones that only a time limit ends."""
LEAST = 0.98
"""Least discount, of tasks whose episodes a time limit ends within 50 steps."""
RECENT = 200
"""Episodes that count once as much as all before them: a run may be resumed, or forked, with another time limit."""
LONG = 400
"""Steps of an episode that has room for a horizon beyond that of START, where a time limit ends it."""
HORIZON, SHORTEST = 10_000.0, 1 / (1 - START)
"""Horizon 1 / (1 - gamma) in steps with which such a task begins, and the one at which it stops to fall."""
FALL = 0.8
"""Factor of the horizon after an update whose values know too little."""
KNOWN = 0.9
"""Explained variance of the returns from which values know enough."""
RATE, PATIENCE = 0.1, 10
"""Weight of an update's explained variance in its running mean, and updates with which new values begin."""

Gamma = float | Literal["auto"]


class Discount:
    """The discount gamma: what the config says, or for `auto` what the episodes and values so far say.

    A task that has terminated an episode has START: its episodes are short only until it is learned. Where time limits
    cut all episodes before 200 steps it is 1 - 1/H, at least LEAST, with H the mean length in steps of those of late:
    what comes later than an episode is long says little of what is done in it. Where they cut all and these are LONG,
    or none has ended yet, the horizon begins at HORIZON and falls as long as values explain too little of the returns,
    to that of START: a far horizon is worth what can be known of it. One that was given up does not come back.
    """

    def __init__(self, gamma: Gamma) -> None:
        self._said = None if gamma == AUTO else float(gamma)
        self._steps = self._episodes = 0.0
        self._terminated = 0
        self._horizon, self._known, self._judged = HORIZON, KNOWN, 0
        self._may_go_far = True

    @property
    def follows(self) -> bool:
        """Return True where the episodes decide."""
        return self._said is None

    @property
    def endless(self) -> bool:
        """Return True where only time limits have ended episodes, and late: rewards are to be centred there."""
        return self._may_go_far and self.follows

    @property
    def far(self) -> bool:
        """Return True where the horizon is beyond that of START."""
        return self.endless and self._horizon > SHORTEST

    @property
    def gamma(self) -> float:
        """Return the discount as of now."""
        if self._said is not None:
            return self._said
        if self.endless:
            return 1 - 1 / self._horizon
        if self._terminated or not self._episodes:
            return START
        return min(max(1 - self._episodes / self._steps, LEAST), START)

    def take_in(self, steps: int, episodes: int, terminated: int) -> None:
        """Take in `episodes` that ended, of so many `steps` together, of which so many terminated."""
        if self._episodes >= RECENT:
            self._steps, self._episodes = self._steps / 2, self._episodes / 2
        self._steps += steps
        self._episodes += episodes
        self._terminated += terminated
        if terminated or steps < LONG * episodes:
            self.settle()

    def judge(self, explained: float) -> None:
        """Take in the variance of the returns that values explained before an update, at most 1."""
        if not self.endless or not isfinite(explained):
            return
        self._judged += 1
        if self._judged > PATIENCE:
            self._known += RATE * (explained - self._known)
            if self._known < KNOWN:
                self._horizon = max(self._horizon * FALL, SHORTEST)

    def settle(self) -> None:
        """Keep START where time limits end long episodes: other values know no other, and other rewards are large."""
        self._may_go_far = False

    def state(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        ends = {"steps": self._steps, "episodes": self._episodes, "terminated": self._terminated}
        return {
            **ends,
            "horizon": self._horizon if self.endless else 0.0,
            "known": self._known,
            "judged": self._judged,
        }

    def load(self, state: dict[str, float]) -> None:
        """Take over what `state` returned."""
        self._steps, self._episodes, self._terminated = state["steps"], state["episodes"], int(state["terminated"])
        # not in a checkpoint of before
        self._horizon, self._known = state.get("horizon", 0.0), state.get("known", 1.0)
        self._judged, self._may_go_far = int(state.get("judged", 0)), bool(self._horizon)
