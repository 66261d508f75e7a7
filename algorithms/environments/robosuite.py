"""robosuite tasks as gymnasium environments (needs the extra: pip install 'surreal[robosuite]')."""

from typing import Any

import gymnasium

from surreal.protocol.errors import Fatal


def make_robosuite(task: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return the robosuite task `task` (Lift, Stack, ...), observed by its flat state, without a renderer.

    `options` go to `robosuite.make`; robots defaults to Panda. Raises Fatal where the extra is not installed.
    """
    try:
        import robosuite
        from robosuite.wrappers import GymWrapper
    except ImportError as error:
        raise Fatal(f"robosuite/{task} needs pip install 'surreal[robosuite]': {error}") from error
    settings = {
        "robots": "Panda",
        "has_renderer": False,
        "has_offscreen_renderer": False,
        "use_camera_obs": False,
        "reward_shaping": True,
        **options,
    }
    return TruncatesAtHorizon(GymWrapper(robosuite.make(task, **settings)))


class TruncatesAtHorizon(gymnasium.Wrapper[Any, Any, Any, Any]):
    """robosuite reports its horizon as termination; a time limit is a truncation."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step as gymnasium does, with the horizon reported as truncated."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        inner: Any = self.env.unwrapped
        at_horizon = bool(terminated) and inner.timestep >= inner.horizon
        return observation, reward, bool(terminated) and not at_horizon, bool(truncated) or at_horizon, info
