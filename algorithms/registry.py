"""Registry of algorithms, each described lightly by its graph and its config: importable without torch.

An experimenter adds one by `module:object` in the experiment file; a distribution by an entry point in the group
`surreal.algorithms`. Neither can replace a built-in one.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from logging import getLogger
from pathlib import Path

from surreal.algorithms.acting.flow import of_batches, of_generations, of_queue
from surreal.algorithms.algorithm import Algorithm, Sizing
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.sizing import sizing
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.config import sizing as impala_sizing
from surreal.algorithms.inference.graph import VARIANTS
from surreal.algorithms.offline.graph import OFFLINE
from surreal.algorithms.offpolicy.graph import DDPG, DQN, SAC, TD3
from surreal.algorithms.own_code import is_own, load_own
from surreal.algorithms.pevi.config import PEVI
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.sizing import sizing as ppo_sizing
from surreal.algorithms.r2d2.graph import R2D2
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.protocol.graph import Broadcast, Role, Stream

log = getLogger(__name__)


def _of_rollouts(
    name: str, config: type[RolloutConfig], sizing: Callable[..., Sizing], several: bool = False
) -> Algorithm:
    """Return an algorithm of actors that send fragments of rollouts to a learner; its roles are in its package.

    `several`: there may be several learners, which add their gradients.
    """
    package = f"surreal.algorithms.{name}"
    learner = Role(
        "learner", f"{package}.learner:learner", scalable=several, ends_run=True, memory="2Gi", accelerated=True
    )
    return Algorithm(
        name,
        config=config,
        roles=(
            learner,
            Role("actor", run=f"{package}.actor:actor", replicas=2, scalable=True, expendable=True, acts=True),
            Role("evaluator", run=f"{package}.actor:evaluator", expendable=True, evaluates=True, cpu=0.5),
        ),
        channels=(
            Stream("experience", frm="actor", to="learner", window=4, finite=True),
            *((Stream("gradients", frm="learner", to="learner"),) if several else ()),
            Broadcast("weights", frm="learner", to=("actor", "evaluator")),
            Stream("metrics", frm=("actor", "evaluator"), to="learner", lossy=True),
        ),
        sizing=sizing,
        flow=of_batches if several else of_queue,
        variants=VARIANTS,
        check="surreal.algorithms.models.summary:check",
    )


PPO = _of_rollouts("ppo", PPOConfig, ppo_sizing, several=True)
IMPALA = _of_rollouts("impala", IMPALAConfig, impala_sizing)

_EVOLUTION_ROLES = (
    Role("master", run="surreal.algorithms.es.master:master", ends_run=True),
    Role(
        "worker",
        run="surreal.algorithms.es.worker:worker",
        replicas=2,
        scalable=True,
        expendable=True,
        acts=True,
    ),
    Role("evaluator", run="surreal.algorithms.es.evaluator:evaluator", expendable=True, evaluates=True, cpu=0.5),
)
_EVOLUTION_CHANNELS = (
    Stream("results", frm="worker", to="master"),
    Broadcast("weights", frm="master", to=("worker", "evaluator")),
    Stream("metrics", frm=("worker", "evaluator"), to="master", lossy=True),
)


def _of_evolution(name: str, config: type[ESConfig] | type[ARSConfig]) -> Algorithm:
    """Return an algorithm of workers that send the returns of perturbed policies to a master."""
    return Algorithm(
        name,
        config,
        _EVOLUTION_ROLES,
        _EVOLUTION_CHANNELS,
        sizing,
        check="surreal.algorithms.es.batched_policy:check",
        selective=True,
        flow=of_generations,
    )


ES = _of_evolution("es", ESConfig)
ARS = _of_evolution("ars", ARSConfig)


GROUP = "surreal.algorithms"
"""Entry points of installed distributions; the object of each is an Algorithm."""
BUILT_IN = {
    described.name: described for described in (PPO, IMPALA, ES, ARS, DDPG, TD3, SAC, DQN, R2D2, PEVI, *OFFLINE)
}

RELATIVES = {"a2c": "ppo", "a3c": "impala"}
"""Algorithm that is not here -> the one that does its work."""


def algorithm(name: str, folder: Path | None = None) -> Algorithm:
    """Return the algorithm of that name: a built-in one, `module:object` of one's own, or an installed plug-in.

    `folder` is the experiment's, where modules of one's own are looked for. Only the plug-in that is named is loaded:
    a broken one spoils no other run. Raises InvalidInput that lists the known names, or names file and line.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if ":" in name:
        if not is_own(name):
            raise InvalidInput(f"{name!r}: is no 'module:object'. Write for example 'my_module:REINFORCE'.")
        return _own(name, folder)
    added = _entry_points()
    if name in added:
        return _plugin(added[name])
    known = sorted({*BUILT_IN, *added})
    raise InvalidInput(
        f"no algorithm {name!r}{did_you_mean(RELATIVES.get(name.lower(), name), known)}. "
        f"There are: {', '.join(known)}, and 'module:object' of one's own."
    )


def _own(name: str, folder: Path | None) -> Algorithm:
    """Return one's own algorithm under the name by which it was asked for, which workers and resumes use again."""
    found: Algorithm = load_own(name, folder, Algorithm)
    return replace(found, name=name)


@cache
def algorithms() -> dict[str, Algorithm]:
    """Return name -> algorithm of all that are built in or installed. A broken plug-in is named in the log."""
    found = dict(BUILT_IN)
    for name, entry in _entry_points().items():
        try:
            found[name] = _plugin(entry)
        except InvalidInput as error:
            log.warning("%s", error)
    return found


def _entry_points() -> dict[str, EntryPoint]:
    """Return the plug-ins by name; none can replace a built-in algorithm."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in BUILT_IN}


def _plugin(entry: EntryPoint) -> Algorithm:
    origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an installed package"
    try:
        found: Algorithm = load_own(f"{entry.module}:{entry.attr}", None, Algorithm)
    except InvalidInput as error:
        raise InvalidInput(
            f"plug-in {entry.name!r}: it is of {origin} and is broken: {error}. Repair or uninstall it."
        ) from None
    return found
