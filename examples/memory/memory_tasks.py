"""Tasks that need memory: recall a cue after a delay, and balance a pole whose velocities are not seen."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

CUES = 3


class CueRecall(gymnasium.Env[Any, Any]):
    """One of three cues is shown in the first step; `delay` steps later the action must name it.

    An observation is the cue (one number of three is 1, in the first step only) and whether now is the answer. The
    reward is 1 for the right answer and 0 otherwise, so that the mean return is the share of right answers.
    """

    def __init__(self, delay: int = 10) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (CUES + 1,), np.float32)
        self.action_space = spaces.Discrete(CUES)
        self.delay, self._cue, self._time = delay, 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Show a new cue."""
        super().reset(seed=seed)
        self._cue, self._time = int(self.np_random.integers(CUES)), 0
        observation = np.zeros(CUES + 1, dtype=np.float32)
        observation[self._cue] = 1.0
        return observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Wait, or take the answer."""
        over = self._time == self.delay
        right = float(over and int(action) == self._cue)
        self._time += 1
        observation = np.zeros(CUES + 1, dtype=np.float32)
        observation[CUES] = self._time == self.delay
        return observation, right, over, False, {}


class CartPolePositions(gymnasium.ObservationWrapper[Any, Any, Any]):
    """CartPole-v1 whose policy sees the cart's place and the pole's angle, but no velocities."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        whole = self.env.observation_space
        assert isinstance(whole, spaces.Box)
        self.observation_space = spaces.Box(whole.low[[0, 2]], whole.high[[0, 2]], dtype=np.float32)

    def observation(self, observation: Any) -> Any:
        """Return place and angle."""
        return observation[[0, 2]]
