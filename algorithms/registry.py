"""Every algorithm there is, described lightly: its graph and its config, importable without torch.

A third party adds one by an entry point in the group `surreal.algorithms` whose object is an `Algorithm`;
it can add a name but never replace a built-in one.
"""

from functools import cache
from importlib.metadata import entry_points

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.sizing import sizing
from surreal.algorithms.ppo.config import PPOConfig
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.protocol.graph import Broadcast, Role, Stream

PPO = Algorithm(
    "ppo",
    config=PPOConfig,
    roles=(
        Role(
            "learner",
            run="surreal.algorithms.ppo.learner:learner",
            ends_run=True,
            memory="2Gi",
            accelerated=True,
        ),
        Role(
            "actor",
            run="surreal.algorithms.ppo.actor:actor",
            replicas=2,
            scalable=True,
            expendable=True,
        ),
        Role("evaluator", run="surreal.algorithms.ppo.evaluator:evaluator", expendable=True, cpu=0.5),
    ),
    channels=(
        Stream("experience", frm="actor", to="learner", window=4, finite=True),
        Broadcast("weights", frm="learner", to=("actor", "evaluator")),
        Stream("metrics", frm=("actor", "evaluator"), to="learner", lossy=True),
    ),
)


_EVOLUTION_ROLES = (
    Role("master", run="surreal.algorithms.es.master:master", ends_run=True),
    Role(
        "worker",
        run="surreal.algorithms.es.worker:worker",
        replicas=2,
        scalable=True,
        expendable=True,
    ),
    Role("evaluator", run="surreal.algorithms.es.evaluator:evaluator", expendable=True, cpu=0.5),
)
_EVOLUTION_CHANNELS = (
    Stream("results", frm="worker", to="master"),
    Broadcast("weights", frm="master", to=("worker", "evaluator")),
    Stream("metrics", frm=("worker", "evaluator"), to="master", lossy=True),
)
ES = Algorithm("es", ESConfig, _EVOLUTION_ROLES, _EVOLUTION_CHANNELS, sizing)
ARS = Algorithm("ars", ARSConfig, _EVOLUTION_ROLES, _EVOLUTION_CHANNELS, sizing)


@cache
def algorithms() -> dict[str, Algorithm]:
    """Name -> algorithm: the built-in ones and those that installed packages add."""
    added = {entry.name: entry.load() for entry in entry_points(group="surreal.algorithms")}
    return {**added, **{built_in.name: built_in for built_in in (PPO, ES, ARS)}}


def algorithm(name: str) -> Algorithm:
    """The algorithm of that name. Raises InvalidInput that lists the known ones."""
    if name not in algorithms():
        known = ", ".join(sorted(algorithms()))
        raise InvalidInput(f"unknown algorithm {name!r}{did_you_mean(name, algorithms())}; known: {known}")
    return algorithms()[name]
