"""Look at an environment for the plan: the network that it gets, before anything is started.

A process of its own makes the environment once, so that its packages and its faults stay out of the command line.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from surreal.algorithms.models.config import NetworkConfig

SECONDS = 60.0
"""Time that an environment may take to be made."""
COMMAND = (sys.executable, "-P", "-m", "surreal.algorithms.models.probe")


class Found(NamedTuple):
    """Answer of a look."""

    note: str = ""
    """Sentence about the network; empty where the environment cannot be made on this machine."""
    problem: str = ""
    """Sentence about a network that does not take what the environment gives."""


def look(network: NetworkConfig, hidden: Sequence[int], env: Mapping[str, Any]) -> Found:
    """Return what the network is for the environment `env` (`id`, `options`, `folder` of one's own modules)."""
    return _look(json.dumps({"network": network.model_dump(), "hidden": list(hidden), "env": dict(env)}))


@cache
def _look(question: str) -> Found:
    folder = json.loads(question)["env"].get("folder") or None
    try:
        done = subprocess.run(
            COMMAND, input=question, capture_output=True, text=True, timeout=SECONDS, cwd=folder, check=True
        )
        return Found(*json.loads(done.stdout.splitlines()[-1]))
    # The environment may need a package, a licence or a machine that this one is not: its actors will say so.
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return Found()


def answer(question: Mapping[str, Any]) -> Found:
    """Return what `look` returns, in the process that makes the environment."""
    from surreal.algorithms.environments.make import make_env
    from surreal.algorithms.models.actor_critic import make_model
    from surreal.algorithms.models.summary import summary
    from surreal.protocol.errors import SurrealError

    network, env = NetworkConfig(**question["network"]), question["env"]
    try:
        made = make_env(env, env.get("folder", ""), network.view)
    except SurrealError as error:
        # An environment of images says so where numbers were asked for.
        return Found(problem=str(error)) if "network for images" in str(error) else Found()
    try:
        return Found(note=summary(make_model(network, made.spaces, question["hidden"])))
    except SurrealError as error:
        return Found(problem=str(error).removeprefix("spec.algorithm.config.network").lstrip(".: "))
    finally:
        made.close()


def check(config: Any, env: Mapping[str, Any], code: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the network that `config` names, as `Algorithm.check` does."""
    from surreal.algorithms.environments.make import make_env
    from surreal.algorithms.models.actor_critic import make_model
    from surreal.protocol.errors import Fatal

    with closing(make_env(env, code, config.network.view)) as made:
        try:
            make_model(config.network, made.spaces, config.hidden)
        except Fatal as error:
            yield "network", str(error).removeprefix("spec.algorithm.config.network").lstrip(".: ")


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    if asked["env"].get("folder"):
        sys.path.append(asked["env"]["folder"])
    print(json.dumps(answer(asked)))
