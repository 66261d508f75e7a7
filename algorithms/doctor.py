"""Can this Python learn? `python -P -m surreal.algorithms.doctor` prints one line per thing: name, state, what was
found, what to do, with tabs between.

`surreal doctor` runs it in a process of its own, since a broken driver ends the process that loads it.
"""

from collections.abc import Callable

ENVIRONMENT = "HalfCheetah-v5"


def main() -> None:
    """Print all lines."""
    for name, look, follows in (
        ("torch", torch_device, "pip install torch, with constraints.txt for a CPU build"),
        ("environments", step_environment, "pip install 'gymnasium[mujoco]'"),
    ):
        print("\t".join((name, *_result(look, follows))), flush=True)


def torch_device() -> str:
    """torch's version, and the device that `device: auto` takes."""
    import torch

    return f"{torch.__version__} on {torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'}"


def step_environment() -> str:
    """A MuJoCo environment, stepped once."""
    import gymnasium
    import mujoco

    env = gymnasium.make(ENVIRONMENT)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    return f"{ENVIRONMENT} steps: gymnasium {gymnasium.__version__}, mujoco {mujoco.__version__}"


def _result(look: Callable[[], str], follows: str) -> tuple[str, str, str]:
    try:
        return "ok", look(), ""
    except Exception as error:  # whatever it is, it is what the person has to know
        return "missing", " ".join(f"{type(error).__name__}: {error}".split()), follows


if __name__ == "__main__":
    main()
