"""Training from Python: `surreal.train` runs an experiment on this machine and shows how far it is."""

import re
from collections.abc import Mapping
from datetime import datetime
from inspect import Parameter, signature
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import ExperimentSpec
from surreal.orchestrator.live import LiveLine
from surreal.orchestrator.owner import Owner
from surreal.protocol.documents.models import MAX_NAME_CHARS
from surreal.protocol.errors import InvalidInput, SurrealError, did_you_mean

ACTOR = "actor"
"""Role that `actors` counts where several scale."""

if TYPE_CHECKING:
    from surreal.algorithms.algorithm import Algorithm, Configured

_owners: dict[str, Owner] = {}
"""Owners of the runs that belong to this program; the pipe of each stays open as long as the program lives."""


def train(
    env: str | Mapping[str, Any],
    algorithm: "Algorithm | Configured | str",
    *,
    actors: int | None = None,
    seed: int = 1,
    name: str | None = None,
    folder: Path | str | None = None,
    roles: Mapping[str, Any] | None = None,
    wait: bool = True,
    detach: bool = False,
    **spec: Any,
) -> Run:
    """Train on this machine and return the run.

    `actors` is the number of processes of the role that scales (PPO: actor, ES: worker). `name` is by default made of
    algorithm, environment and time. `folder` holds your own modules. Further keywords are those of `Experiment`.

    The call returns when training is over; `wait=False` returns at once. The run belongs to this program: it stops,
    after a checkpoint, when the program ends in any way, even by SIGKILL. With `detach=True` the run outlives it.
    Ctrl-C stops the run. Raises InvalidInput, with nothing started, for what cannot run, and SurrealError with the
    reason for a run that failed.
    """
    _refuse_unknown(spec)
    experiment = Experiment(
        name or _new_name(env, algorithm), env, algorithm, roles=roles, seed=seed, folder=folder, **spec
    )
    if actors is not None:
        experiment = _resized(experiment, actors)
    run, owner = _created(experiment, detach)
    return _finished(run, owner) if wait else run


def _refuse_unknown(spec: Mapping[str, Any]) -> None:
    """Raise InvalidInput for a keyword that is neither one of `train` nor a key of an experiment."""
    own = [key for key, each in signature(train).parameters.items() if each.kind != Parameter.VAR_KEYWORD]
    known = [*own, *ExperimentSpec.model_fields]
    for key in spec:
        if key not in known and key not in map(to_camel, known):
            raise InvalidInput(f"{key}: unknown keyword{did_you_mean(key, known)}. Name one of {', '.join(known)}.")


def _created(experiment: Experiment, detach: bool) -> tuple[Run, Owner | None]:
    """Start the run; it belongs to this program unless it is detached."""
    client = Client()
    with client.backend.prepared():
        plan = client.plan(experiment)
        if experiment.name in client.backend.names():
            # The backend says more about the other run.
            client.backend.dry_run(experiment, plan, server=False)
        owner = None if detach else Owner(experiment.name)
        try:
            run = client.create(experiment, plan)
        except BaseException:
            if owner:
                owner.release()
            raise
    if owner:
        _owners[experiment.name] = owner
    return run, owner


def _finished(run: Run, owner: Owner | None) -> Run:
    """Show the run until it is over. Raises SurrealError if it failed."""
    try:
        with LiveLine() as line:
            status = run.wait(watch=line.show)
    except KeyboardInterrupt:
        if owner:
            run.stop()
        raise
    if owner:
        _owners.pop(run.name).release()
    if status.state == "failed":
        raise SurrealError(
            f"{run.name}: failed: {status.reason or 'no reason was recorded'}. Read why: surreal logs {run.name}"
        )
    return run


def _resized(experiment: Experiment, actors: int) -> Experiment:
    """Return the experiment with that many processes of the role `actor`, or of the only one that scales.

    Raises InvalidInput if there is neither.
    """
    roles = [role.name for role in experiment.algorithm.roles if role.scalable]
    scalable = [name for name in roles if name == ACTOR] or roles
    if len(scalable) != 1:
        names = " and ".join(roles) or "none"
        raise InvalidInput(
            f"actors: {actors!r} does not say which role: {names} can scale. Use roles={{NAME: Role(replicas=...)}}."
        )
    data = experiment.to_data()
    data["spec"]["roles"][scalable[0]]["replicas"] = actors
    return Experiment.from_data(data, experiment.source, experiment.folder)


def _new_name(env: str | Mapping[str, Any], algorithm: "Algorithm | Configured | str") -> str:
    """Return a name that no other run has: `ppo-halfcheetah-v5-1128-071502-3f`."""
    described = getattr(algorithm, "algorithm", algorithm)
    parts = [getattr(described, "name", described), env.get("id", "env") if isinstance(env, Mapping) else env]
    words = "-".join(str(part).rpartition(":")[2] for part in parts)
    unique = f"{datetime.now():%m%d-%H%M%S}-{token_hex(1)}"
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[: MAX_NAME_CHARS - len(unique) - 1].strip("-")
    return f"{slug or 'run'}-{unique}"
