"""Atari 2600 games (ale-py): the presets of their preprocessing, and the wrappers that gymnasium does not have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import gymnasium
from gymnasium import wrappers as theirs
from pydantic import Field

Env = gymnasium.Env[Any, Any]
MADE_BY = "ale_py"
"""Module of the environments that presets are for."""


@dataclass(frozen=True)
class Preset:
    """Wrappers and options that a name in `env.wrappers` stands for."""

    wrappers: Sequence[Any]
    options: Mapping[str, Any]
    """Keywords of gymnasium.make that go with it, where `env.options` does not say others."""


PRESETS = {
    # Mnih et al. 2015, as CleanRL and Stable-Baselines3 have it: no sticky actions, a life is an episode.
    "atari": Preset(
        ("atari_screen", "episodic_life", "fire_reset", "clip_reward", {"stack": 4}),
        {"frameskip": 1, "repeat_action_probability": 0.0, "obs_type": "grayscale"},
    ),
    # Machado et al. 2018, sec. 5: sticky actions, all 18 actions, whole games, no random start.
    "atari-paper": Preset(
        ({"atari_screen": {"noops": 0}}, "clip_reward", {"stack": 4}),
        {
            "frameskip": 1,
            "repeat_action_probability": 0.25,
            "full_action_space": True,
            "obs_type": "grayscale",
        },
    ),
}


def screen(
    env: Env,
    size: Annotated[int, Field(ge=1, le=4096)] = 84,
    skip: Annotated[int, Field(ge=1, le=64)] = 4,
    noops: Annotated[int, Field(ge=0, le=1000)] = 30,
) -> Env:
    """Return a game seen as grey squares of `size`, each action taken `skip` times, begun by up to `noops` no-ops."""
    one_thread()
    return theirs.AtariPreprocessing(env, noop_max=noops, frame_skip=skip, screen_size=size)


def one_thread() -> None:
    """Keep OpenCV to one thread: a process of an actor has one core, and its frames are small."""
    import cv2

    cv2.setNumThreads(1)


class EpisodicLife(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Ends an episode with each life; the game itself goes on, and is reset only when it is over."""

    def __init__(self, env: Env) -> None:
        """Take over a game that counts lives. Raises ValueError for another environment."""
        super().__init__(env)
        if not hasattr(env.unwrapped, "ale"):
            raise ValueError("it is no Atari game, which counts lives")
        self._lives, self._over = 0, True

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; a lost life terminates."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._over = bool(terminated or truncated)
        after: tuple[Any, Any, bool, bool, dict[str, Any]] = self._after(
            observation, reward, terminated, truncated, info
        )
        return after

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the game where it is over or a seed is given; else go on with the next life by one no-op."""
        if self._over or seed is not None:
            observation, info = self.env.reset(seed=seed, options=options)
        else:
            observation, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                observation, info = self.env.reset(seed=seed, options=options)
        self._over, self._lives = False, self._left()
        return observation, info

    def _after(self, observation: Any, reward: Any, terminated: bool, truncated: bool, info: dict[str, Any]) -> Any:
        lives, before = self._left(), self._lives
        self._lives = lives
        # Qbert reports no lives for a few frames before the game is over.
        return observation, reward, terminated or 0 < lives < before, truncated, info

    def _left(self) -> int:
        game: Any = self.env.unwrapped
        return int(game.ale.lives())


class FireReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Presses FIRE after a reset in games that begin with it."""

    def __init__(self, env: Env) -> None:
        """Take over a game. Raises AttributeError for an environment whose actions have no names."""
        super().__init__(env)
        game: Any = env.unwrapped
        meanings = game.get_action_meanings()
        self._fire = meanings.index("FIRE") if "FIRE" in meanings and len(meanings) >= 3 else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, and fire once."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self._fire is None:
            return observation, info
        observation, _, terminated, truncated, info = self.env.step(self._fire)
        return self.env.reset(seed=seed, options=options) if terminated or truncated else (observation, info)
