"""Change of a run that does not run: other values in the experiment and the plan that its root holds.

`resume` draws all objects from the root, so that they follow: wirings and Jobs are made anew in any case.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from surreal.orchestrator.backends.kube.lifecycle.code import recorded, sent
from surreal.orchestrator.backends.kube.manifests.render import plan_digest
from surreal.orchestrator.backends.kube.names import CHANGED, EXPERIMENT_KEY, PLAN_DIGEST, PLAN_KEY
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.plan.change import changed, new_warnings
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import InvalidInput
from surreal.protocol.worker.code_archive import unpack
from surreal.provisioner.kube.client import Api
from surreal.provisioner.pools.model import NodePool


def change(
    api: Api, seen: Snapshot, changes: Sequence[str], pools: Sequence[NodePool], check_only: bool
) -> Sequence[str]:
    """Write the changed experiment and plan into the root; one that has succeeded can be resumed then.

    Return the warnings that are new. Raises InvalidInput, with nothing changed, for wrong values, for more than `pools`
    hold and for a run that runs; `check_only` does no more than to look at the values.
    """
    plan, experiment_text = recorded(seen)
    code = sent(api, plan)
    with _unpacked(code) as folder:
        # what the run itself fills now is free once it has stopped, so whole machines are looked at
        whole = [replace(pool, rooms=()) for pool in pools]
        experiment, planned = changed(experiment_text, changes, folder, plan, whole)
        text = experiment.to_yaml()
    _refuse_other_objects(plan, planned)
    _refuse_too_many(plan, planned, pools)
    if check_only:
        return new_warnings(plan, planned)
    if not status_of(seen).over:
        raise InvalidInput(f"{seen.name}: is {status_of(seen).state}. Stop it first: surreal stop {seen.name}")
    marks = {PLAN_DIGEST: plan_digest(planned, code), CHANGED: datetime.now(UTC).isoformat(timespec="seconds")}
    data = {PLAN_KEY: planned.to_json(), EXPERIMENT_KEY: text}
    api.patch("ConfigMap", seen.name, {"metadata": {"annotations": marks}, "data": data})
    return new_warnings(plan, planned)


def _refuse_other_objects(plan: Plan, planned: Plan) -> None:
    """Raise InvalidInput for what `resume` cannot make: keys of a run are made once, for the roles that it has."""
    roles = [{role.name for role in each.roles} for each in (plan, planned)]
    if other := roles[0] ^ roles[1]:
        raise InvalidInput(
            f"--set: {', '.join(sorted(other))} would be added or removed, and a run in a cluster keeps its roles. "
            f"Begin another one from its checkpoint: surreal create FILE --from {plan.name}"
        )
    if plan.queue != planned.queue:
        raise InvalidInput(
            f"--set spec.queue: {plan.queue or 'none'!r} cannot change in a run that exists. "
            f"Begin another one from its checkpoint: surreal create FILE --from {plan.name}"
        )


def _refuse_too_many(plan: Plan, planned: Plan, pools: Sequence[NodePool]) -> None:
    """Raise InvalidInput where the run would need more machines than before, and than a pool that cannot grow has."""
    before = {pool.name: pool.full for pool in plan.pools}
    known = {pool.name: pool for pool in pools}
    for pool in planned.pools:
        there = known[pool.name]
        if there.fixed and pool.full > max(there.nodes, before.get(pool.name, 0)):
            size = f"{there.cpu:g} CPUs, {format_memory(there.memory)}" + (f", {there.gpus} GPUs" * bool(there.gpus))
            machines = f"{there.nodes} machine{'s' * (there.nodes != 1)}"
            raise InvalidInput(
                f"spec.roles: pool {pool.name!r} has {machines} of {size}, and the run would need "
                f"{pool.full} of them. Ask for fewer processes, or add machines."
            )


@contextmanager
def _unpacked(code: Code | None) -> Iterator[Path]:
    """Open a folder with the modules that a run was sent; the working folder for one that has none."""
    if code is None:
        yield Path.cwd()
        return
    with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
        unpack(code.data, Path(folder) / "code", code.digest)
        yield Path(folder) / "code"
