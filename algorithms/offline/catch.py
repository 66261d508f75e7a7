"""Catch, and rules that solve the suite's small tasks: what their datasets are recorded with."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from surreal.algorithms.types import F32, Array

ROWS, COLUMNS = 10, 5


class Catch(gymnasium.Env[F32, np.int64]):
    """A ball falls over a board of 10 x 5, and a paddle in the last row moves left, stays or moves right.

    Reward 1 where the ball is caught, -1 where not, at the end of the episode of 9 steps. The observation is the board.
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (ROWS * COLUMNS,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._ball, self._paddle = (0, 0), COLUMNS // 2

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F32, dict[str, Any]]:
        """Drop a ball from a random column."""
        super().reset(seed=seed)
        self._ball, self._paddle = (0, int(self.np_random.integers(COLUMNS))), COLUMNS // 2
        return self._board(), {}

    def step(self, action: np.int64) -> tuple[F32, float, bool, bool, dict[str, Any]]:
        """Move the paddle, then let the ball fall by a row."""
        self._paddle = min(max(self._paddle + int(action) - 1, 0), COLUMNS - 1)
        self._ball = (self._ball[0] + 1, self._ball[1])
        over = self._ball[0] == ROWS - 1
        reward = (1.0 if self._ball[1] == self._paddle else -1.0) if over else 0.0
        return self._board(), reward, over, False, {}

    def _board(self) -> F32:
        board = np.zeros((ROWS, COLUMNS), dtype=np.float32)
        board[self._ball] = board[ROWS - 1, self._paddle] = 1.0
        return board.ravel()


def _catch(observation: Array) -> int:
    """Return the move towards the ball's column."""
    board = observation.reshape(ROWS, COLUMNS)
    ball = int(np.argmax(board[:-1].any(axis=0))) if board[:-1].any() else int(np.argmax(board[-1]))
    return int(np.sign(ball - int(np.argmax(board[-1])))) + 1


def _cartpole(observation: Array) -> int:
    """Return the push of a linear controller that balances for 500 steps."""
    x, v, angle, turn = observation
    return int(0.1 * x + 0.3 * v + angle * 3.0 + turn * 1.0 > 0)


def _mountain_car(observation: Array) -> int:
    """Return the push in the direction of the motion, which gathers energy."""
    return 2 if observation[1] >= 0 else 0


RULES: dict[str, Callable[[Array], int]] = {"catch": _catch, "cartpole": _cartpole, "mountain_car": _mountain_car}
"""Task -> action of an expert."""
