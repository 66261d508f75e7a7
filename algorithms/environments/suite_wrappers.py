"""Wrappers that correct what the environments of a suite do unlike gymnasium's."""

from typing import Any

import gymnasium
import numpy as np

Env = gymnasium.Env[Any, Any]


class ForgetsAction(gymnasium.Wrapper[Any, Any, Any, Any]):
    """MinAtar repeats actions at random, and at a reset it does not forget the last one of the episode before."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, so that the same seed begins the same episode."""
        inner: Any = self.env.unwrapped
        inner.game.last_action = 0
        return self.env.reset(seed=seed, options=options)


class SeedsGenerator(gymnasium.Wrapper[Any, Any, Any, Any]):
    """robosuite seeds numpy's global generator at a reset, but draws poses and sizes from the environment's own."""

    def __init__(self, env: Env) -> None:
        """Take over robosuite's GymWrapper."""
        super().__init__(env)
        inner: Any = env.unwrapped
        # Placement samplers hold the old generator, which has the same source of bits.
        inner.rng = _InOrder(inner.rng.bit_generator)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, so that the same seed begins the same episode; without one, go on from the generator."""
        if seed is None:
            return self.env.reset(options=options)
        inner: Any = self.env.unwrapped
        inner.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        hard = inner.hard_reset
        # A soft reset keeps the sizes of objects that an earlier one drew.
        inner.hard_reset = True
        try:
            # The global generator, which draws the noise of sensors, takes seeds of 32 bits only.
            return self.env.reset(seed=int(seed) % 2**32, options=options)
        finally:
            inner.hard_reset = hard


class _InOrder(np.random.Generator):
    """Generator that sorts names before it chooses: robosuite lists a set, whose order differs between processes."""

    def choice(self, a: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a choice of `a`, as numpy does."""
        named = isinstance(a, list) and all(isinstance(each, str) for each in a)
        return super().choice(sorted(a) if named else a, *args, **kwargs)


class TruncatesAtHorizon(gymnasium.Wrapper[Any, Any, Any, Any]):
    """robosuite reports its horizon as termination; a time limit is a truncation."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step as gymnasium does, with the horizon reported as truncated."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        inner: Any = self.env.unwrapped
        at_horizon = bool(terminated) and inner.timestep >= inner.horizon
        return observation, reward, bool(terminated) and not at_horizon, bool(truncated) or at_horizon, info


class Upright(gymnasium.ObservationWrapper[Any, Any, Any]):
    """robosuite renders upside down by default; images are turned once, where they arise, and declared as uint8."""

    def __init__(self, env: Env) -> None:
        """Take over an environment with cameras, whose observations are a dictionary of images and vectors."""
        import robosuite.macros as macros

        super().__init__(env)
        self._turned = macros.IMAGE_CONVENTION == "opengl"
        declared: Any = env.observation_space
        self.observation_space = gymnasium.spaces.Dict({key: _declared(part) for key, part in declared.items()})

    def observation(self, observation: Any) -> Any:
        """Return the observation with its images the right way up."""
        turned = self._turned
        return {key: value[::-1] if turned and np.ndim(value) == 3 else value for key, value in observation.items()}


def _declared(part: Any) -> Any:
    return gymnasium.spaces.Box(0, 255, part.shape, np.uint8) if len(part.shape) == 3 else part
