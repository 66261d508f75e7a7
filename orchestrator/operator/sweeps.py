"""Sweeps of the cluster: each makes Experiments, a few at a time, and counts how they end.

All that is known lies in the cluster: points follow from the spec and a trial's number, runs from their labels.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.groups import GROUP
from surreal.orchestrator.operator.experiments.desired import experiment_of
from surreal.orchestrator.operator.experiments.events import tell
from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.operator.experiments.report import Verdict, changes, sweep_status_document
from surreal.orchestrator.run.status import OUTCOMES
from surreal.orchestrator.sweeps.load import Sweep, run_name
from surreal.orchestrator.sweeps.model import Point, SweepDocument
from surreal.orchestrator.sweeps.study import PlainStudy
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.models import validated
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.errors import TakenError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, moment, name_of, number, reference, text

RETRY_S, LOOK_S = 10.0, 15.0
FAILURES = 3
"""Runs that fail before any succeeds, after which a sweep gives up."""


@dataclass(frozen=True)
class Wish:
    """A run of a sweep: its name, and the trial and the seed that make its experiment."""

    name: str
    number: int
    point: Point
    seed: int


class SweepReconciler:
    """Reconciles the Sweeps of one place."""

    def __init__(self, place: Place) -> None:
        self._place, self._api = place, place.api

    def reconcile(self, name: str) -> float | None:
        """Bring a sweep and its Experiments together; return the seconds until the next look, None for none."""
        resource = self._api.find("Sweep", name)
        if resource is None or dig(resource, "metadata", "deletionTimestamp"):
            return None
        runs = {name_of(each): each for each in self._api.list("Experiment", f"{GROUP}={name}")}
        again: float | None = None
        wishes: list[Wish] = []
        try:
            sweep = self._sweep(resource)
            wishes = list(_wishes(sweep))
            verdict = self._act(resource, sweep, wishes, runs)
            again = LOOK_S if verdict.state in ("pending", "running") else None
        except InvalidInput as error:
            verdict = Verdict("failed", accepted=False, refusal=str(error), code="Invalid")
        except SurrealError as error:
            verdict, again = Verdict("pending", accepted=False, refusal=str(error), code="Refused"), RETRY_S
        self._report(resource, verdict, runs, len(wishes))
        return again

    def _sweep(self, resource: Object) -> Sweep:
        """Return the checked sweep. Raises InvalidInput, and SurrealError while its Experiment is not there."""
        spec = {key: value for key, value in (resource.get("spec") or {}).items() if key != "suspend"}
        data = {"apiVersion": resource["apiVersion"], "kind": "Sweep", "metadata": {"name": name_of(resource)}}
        document, problems = validated(SweepDocument, {**data, "spec": spec})
        if problems or document is None:
            raise Source("Sweep").invalid(problems)
        _refuse_studies(document)
        name = PurePosixPath(document.spec.experiment).stem
        base = self._api.find("Experiment", name)
        if base is None:
            raise SurrealError(
                f"spec.experiment: {document.spec.experiment!r} names no Experiment {name} of the namespace. "
                "Apply it first, with spec.suspend: true if it is not to run itself."
            )
        return Sweep(document, experiment_of(base))

    def _act(self, resource: Object, sweep: Sweep, wishes: list[Wish], runs: dict[str, Object]) -> Verdict:
        suspended = dig(resource, "spec", "suspend") is True
        self._suspend(suspended, runs)
        counts = _counts(runs)
        if counts["failed"] >= FAILURES and not counts["succeeded"]:
            first = next(each for each in runs.values() if text(each, "status", "state") == "failed")
            self._suspend(True, runs)
            return Verdict("failed", f"the first {counts['failed']} runs failed: {text(first, 'status', 'reason')}")
        if used := _used_up(sweep, runs):
            self._suspend(True, runs)
            return Verdict("succeeded", used)
        if suspended:
            return Verdict("stopped", "spec.suspend: its runs are stopped", code="Suspended")
        missing = [wish for wish in wishes if wish.name not in runs]
        while missing and self._has_room(sweep, runs):
            self._make(resource, sweep, missing.pop(0), runs)
        if missing or any(text(each, "status", "state") not in OUTCOMES for each in runs.values()):
            return Verdict("running")
        return Verdict("succeeded" if counts["succeeded"] else "failed")

    def _has_room(self, sweep: Sweep, runs: dict[str, Object]) -> bool:
        """Return whether one more may run: as many as the spec says, else until one waits for room."""
        states = [text(each, "status", "state") or "pending" for each in runs.values()]
        if sweep.document.spec.parallel is not None:
            return sum(state not in OUTCOMES for state in states) < sweep.document.spec.parallel
        return "pending" not in states

    def _make(self, resource: Object, sweep: Sweep, wish: Wish, runs: dict[str, Object]) -> None:
        made = _resource(resource, sweep.run(wish.number, wish.point, wish.seed))
        try:
            runs[wish.name] = self._api.post("Experiment", made)
        except TakenError:
            found = self._api.get("Experiment", wish.name)
            if text(found, "metadata", "labels", GROUP) != sweep.name:
                raise SurrealError(f"{wish.name}: another Experiment has this name. Choose another name.") from None
            runs[wish.name] = found

    def _suspend(self, suspended: bool, runs: dict[str, Object]) -> None:
        """Stop all runs that are not over, or let them go on."""
        for name, each in runs.items():
            over = text(each, "status", "state") in ("succeeded", "failed")
            if not over and (dig(each, "spec", "suspend") is True) != suspended:
                # The uid keeps this off an Experiment that a person made of the same name meanwhile.
                about = {"uid": text(each, "metadata", "uid")}
                runs[name] = self._api.patch("Experiment", name, {"metadata": about, "spec": {"suspend": suspended}})

    def _report(self, resource: Object, verdict: Verdict, runs: dict[str, Object], total: int) -> None:
        old = resource.get("status") or {}
        new = sweep_status_document(resource, verdict, _counts(runs), max(total, len(runs)))
        if old.get("state") != new["state"] or (old.get("reason") or "") != new["reason"]:
            said = verdict.said or f"the sweep is {verdict.state}"
            tell(self._api, resource, verdict.state.capitalize(), said, verdict.state == "failed")
        if change := changes(old, new):
            self._api.patch_status("Sweep", name_of(resource), change, text(resource, "metadata", "resourceVersion"))


def _refuse_studies(document: SweepDocument) -> None:
    """Raise InvalidInput for what needs the memory of a study, which no object of the cluster holds."""
    spec = document.spec
    if spec.needs_optuna:
        key, value = ("sampler", spec.method) if spec.pruner == "none" else ("pruner", spec.pruner)
        raise InvalidInput(f"spec.{key}: {value!r} needs a study's memory. Run it with surreal sweep FILE --on kube.")
    if spec.budget.cost is not None:
        raise InvalidInput("spec.budget.cost: is counted by surreal sweep FILE --on kube. Give hours or steps here.")


def _wishes(sweep: Sweep) -> Iterator[Wish]:
    study, number_of_trial = PlainStudy(sweep.document.spec), 0
    while following := study.next(number_of_trial):
        for seed in sweep.seeds:
            yield Wish(run_name(sweep.name, following[0], seed), *following, seed)
        number_of_trial += 1


def _resource(sweep: Object, experiment: Experiment) -> Object:
    """Return the Experiment of one run, which goes with its sweep."""
    data = experiment.to_data()
    owner = {**reference(sweep), "controller": True}
    about = {**data["metadata"], "ownerReferences": [owner]}
    return {**data, "metadata": about}


def _counts(runs: dict[str, Object]) -> Counter[str]:
    return Counter(text(each, "status", "state") or "pending" for each in runs.values())


def _used_up(sweep: Sweep, runs: dict[str, Object]) -> str:
    """Return which budget is used up, as a sentence; "" for none."""
    budget: dict[str, Any] = sweep.document.spec.budget.model_dump()
    used = {
        "steps": float(sum(number(each, "status", "steps") for each in runs.values())),
        "hours": sum(_seconds(each) for each in runs.values()) / 3600,
    }
    for key, amount in used.items():
        if budget.get(key) is not None and amount >= budget[key]:
            return f"spec.budget.{key}: {budget[key]:g} is used up"
    return ""


def _seconds(run: Object) -> float:
    """Return for how long a run has trained, from its first step to its end."""
    began, ended = moment(run, "status", "startTime"), moment(run, "status", "completionTime")
    return ((ended or datetime.now(UTC)) - began).total_seconds() if began else 0.0
