"""Beginning, going on with and changing the run of an Experiment, through the code of `surreal create`.

Every step can be interrupted at any request: the next reconciliation finds what there is and goes on from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surreal.orchestrator.backends.kube.experiments import BY_SPEC
from surreal.orchestrator.backends.kube.lifecycle import code, create
from surreal.orchestrator.backends.kube.lifecycle.create import Draw
from surreal.orchestrator.backends.kube.lifecycle.delete import remove_run, suspend
from surreal.orchestrator.backends.kube.manifests.render import plan_digest, render
from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    CREATED,
    EXPERIMENT,
    EXPERIMENT_KEY,
    FAILED,
    PLAN_DIGEST,
    PLAN_KEY,
    RUN,
    SPEC_DIGEST,
    ZERO_RUN_ID,
    job,
)
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.operator.experiments.desired import digest, experiment_of, plan_of, rescaled
from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code
from surreal.orchestrator.run.wiring import ending_role, key_files
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.errors import TakenError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import name_of, reference, text

USER = "the operator"


class DoesNotFitError(SurrealError):
    """The machines that are there cannot hold the run."""


@dataclass(frozen=True)
class Begun:
    """A run that was made just now."""

    run: str
    objects: int
    """Number of them."""


@dataclass(frozen=True)
class Beginner:
    """Makes and changes runs in one place."""

    place: Place

    def begin(self, resource: Object) -> Begun:
        """Make all objects of a run, or those that an interrupted reconciliation left out.

        Raises InvalidInput for a spec that cannot run here, and SurrealError where the cluster refuses it; nothing is
        made in both cases.
        """
        experiment = experiment_of(resource)
        try:
            plan = plan_of(self.place.api, experiment, self.place.pools())
        except InvalidInput as error:
            # Other machines may come.
            raise DoesNotFitError(str(error)) from None
        count = 0

        def check(objects: Sequence[Object]) -> None:
            nonlocal count
            count = len(objects)
            for warning in self.place.check(objects):
                self.place.say(f"{name_of(resource)}: {warning}")

        draw = self._draw(resource, plan, experiment.to_yaml(), None)
        return Begun(create.create(self.place.api, draw, self.place.say, resource, check), count)

    def begin_again(self, resource: Object, seen: Snapshot) -> None:
        """Go on with a creation or a resumption that was interrupted."""
        if _mark(seen, ATTEMPT) not in ("", "1"):
            self.resume(resource, seen)
            return
        try:
            self.begin(resource)
        except TakenError:
            # Another version of the operator began it, with a plan that this one would not make.
            remove_run(self.place.api, seen.name, text(seen.root, "metadata", "labels", RUN))
            self.begin(resource)

    def resume(self, resource: Object, seen: Snapshot) -> None:
        """Start the next attempt from the last checkpoint.

        Raises StillEndingError while processes of the attempt before save and end: others want this thread.
        """
        plan, recorded = recorded_of(seen)
        sent = code.sent(self.place.api, plan)
        draw = self._draw(resource, plan, recorded, sent)
        create.resume(self.place.api, seen.name, draw, self.place.say, holder=resource, patience=0.0)

    def suspend(self, seen: Snapshot, marks: Mapping[str, str]) -> bool:
        """Have all processes save and end; do not wait for it. Return False if none was to run."""
        return suspend(self.place.api, seen.name, marks)

    def rescale(self, resource: Object, seen: Snapshot, experiment: Experiment, file: str) -> None:
        """Stop the run, write down the new numbers of processes and its `file`, and leave it to be resumed."""
        plan, _ = recorded_of(seen)
        wanted = rescaled(plan, experiment)
        # A plan that no cluster can run is refused before anything is stopped.
        self._draw(resource, wanted, file, None)(ZERO_RUN_ID, 1)
        suspend(self.place.api, seen.name, BY_SPEC)
        self._write_down(resource, seen, wanted, file, BY_SPEC)

    def retime(self, resource: Object, seen: Snapshot, experiment: Experiment, file: str) -> None:
        """Give the run another TTL, which Kubernetes reads when the run is over."""
        plan, _ = recorded_of(seen)
        kind, name = ("JobSet", seen.name) if seen.jobset else ("Job", job(seen.name, ending_role(plan).name))
        wanted = rescaled(plan, experiment)
        self.place.api.patch(kind, name, {"spec": {"ttlSecondsAfterFinished": wanted.ttl_seconds}})
        self._write_down(resource, seen, wanted, file, {})

    def keep(self, resource: Object, seen: Snapshot) -> None:
        """Note that the spec asks nothing new of the run."""
        self.place.api.patch("ConfigMap", seen.name, {"metadata": {"annotations": {SPEC_DIGEST: digest(resource)}}})

    def _write_down(self, resource: Object, seen: Snapshot, plan: Plan, file: str, marks: Mapping[str, str]) -> None:
        """Record another plan and file in the root of a run."""
        digests = {SPEC_DIGEST: digest(resource), PLAN_DIGEST: plan_digest(plan, code.sent(self.place.api, plan))}
        data = {PLAN_KEY: plan.to_json(), EXPERIMENT_KEY: file}
        about = {"annotations": {**digests, **marks}}
        self.place.api.patch("ConfigMap", seen.name, {"metadata": about, "data": data})

    def adopt(self, resource: Object, seen: Snapshot) -> None:
        """Take over a run of the same experiment that the command line has made."""
        plan, _ = recorded_of(seen)
        owners = {"metadata": {"ownerReferences": [{**reference(resource), "controller": True}]}}
        marks = {EXPERIMENT: text(resource, "metadata", "uid"), SPEC_DIGEST: digest(resource)}
        if seen.jobset:
            self.place.api.patch("JobSet", seen.name, owners)
        else:
            self.place.api.patch("Job", job(seen.name, ending_role(plan).name), owners)
        if seen.claim:
            self.place.api.patch("PersistentVolumeClaim", seen.name, owners)
        self.place.api.patch("ConfigMap", seen.name, {"metadata": {"annotations": marks}})

    def fail(self, seen: Snapshot, reason: str) -> None:
        """End a run that will never work, with the reason on its root."""
        self.suspend(seen, {FAILED: reason})

    def _draw(self, resource: Object, plan: Plan, experiment: str, sent: Code | None) -> Draw:
        """Return a function that draws the objects of a run, its root marked with the Experiment that has it."""
        keys, namespace = key_files(plan), self.place.api.namespace
        marks = {EXPERIMENT: text(resource, "metadata", "uid"), SPEC_DIGEST: digest(resource)}

        def drawn(run: str, attempt: int) -> Sequence[Object]:
            root, *rest = render(
                plan, run, namespace, keys=keys, code=sent, experiment=experiment, attempt=attempt, user=USER
            )
            root["metadata"]["annotations"] = {**root["metadata"]["annotations"], **marks}
            return [root, *rest]

        return drawn


def recorded_of(seen: Snapshot) -> tuple[Plan, str]:
    """Return the plan and the file that a run was made from. Raises InvalidInput if they cannot be read."""
    if not seen.root or not seen.plan:
        raise InvalidInput(f"{seen.name}: its plan is another version's. Use that one, or delete the experiment.")
    return seen.plan, text(seen.root, "data", EXPERIMENT_KEY) + "\n"


def is_sealed(seen: Snapshot) -> bool:
    """Return whether all objects of a run were made."""
    return bool(_mark(seen, CREATED))


def _mark(seen: Snapshot, key: str) -> str:
    return text(seen.root, "metadata", "annotations", key)
