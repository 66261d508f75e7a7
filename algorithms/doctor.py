"""Check of this Python: can it learn?

`python -P -m surreal.algorithms.doctor` prints one line per check: name, state, finding and remedy, with tabs between.
`surreal doctor` runs it in a process of its own, since a broken driver ends the process that loads it.
"""

from collections.abc import Callable
from importlib.metadata import distributions
from typing import NamedTuple

from surreal.algorithms.devices import device_name

ENVIRONMENT = "HalfCheetah-v5"


class Check(NamedTuple):
    """One thing that learning needs."""

    name: str
    find: Callable[[], str]
    """Return what was found. Any exception means that it is missing."""
    remedy: Callable[[Exception], str]
    """Return what to do about the exception."""


def main() -> None:
    """Print one line for each check."""
    for check in CHECKS:
        print("\t".join((check.name, *_result(check))), flush=True)


def step_environment() -> str:
    """Step a MuJoCo environment once. Return its name and the versions behind it."""
    import gymnasium
    import mujoco

    env = gymnasium.make(ENVIRONMENT)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    return f"{ENVIRONMENT} steps: gymnasium {gymnasium.__version__}, mujoco {mujoco.__version__}"


def environments_remedy(error: Exception) -> str:
    """Return what installs MuJoCo, or repairs one that was upgraded in place.

    Such an upgrade removes files that its own parts need, and pip is content with what is left.
    """
    parts = sorted({each.name for each in distributions() if each.name.startswith("mujoco")})
    if parts and isinstance(error, ImportError | AttributeError):
        return f"pip install --force-reinstall --no-deps {' '.join(parts)}"
    return "pip install 'gymnasium[mujoco]'"


CHECKS = (
    Check("torch", device_name, lambda _: "pip install torch, with constraints.txt for a CPU build"),
    Check("environments", step_environment, environments_remedy),
)


def _result(check: Check) -> tuple[str, str, str]:
    """Return state, finding and remedy."""
    try:
        return "ok", check.find(), ""
    # Every error is a finding: the person has to know it, whatever it is.
    except Exception as error:
        return "missing", " ".join(f"{type(error).__name__}: {error}".split()), check.remedy(error)


if __name__ == "__main__":
    main()
