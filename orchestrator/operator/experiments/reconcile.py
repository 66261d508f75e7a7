"""One look at an Experiment: what there is of its run, what is to be done, and what its status says afterwards.

All that is known lies in the cluster: the spec, the root of the run with its marks, and the status. A reconciliation
that is interrupted anywhere is repeated, by this process or by another.
"""

import math
from collections import Counter
from dataclasses import replace

from surreal.orchestrator.backends.kube.experiments import BY_SPEC, WANTED_ATTEMPT
from surreal.orchestrator.backends.kube.lifecycle.delete import StillEndingError, end_leftovers
from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    EXPERIMENT,
    RUN,
    SPEC_DIGEST,
    STOPPED,
)
from surreal.orchestrator.backends.kube.run_folder.locate import Seen, runs
from surreal.orchestrator.backends.kube.status import collect
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.operator.experiments import desired
from surreal.orchestrator.operator.experiments.begin import Beginner, DoesNotFitError, is_sealed, recorded_of
from surreal.orchestrator.operator.experiments.edits import edit_of
from surreal.orchestrator.operator.experiments.events import tell
from surreal.orchestrator.operator.experiments.judge import SOON_S, judge, look_after
from surreal.orchestrator.operator.experiments.leaving import end_held, end_rest, held_by, tidy_foreign
from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.operator.experiments.report import Verdict, changes, status_document
from surreal.orchestrator.operator.experiments.verdicts import Outcome, changing, news, over, pruned, refused
from surreal.orchestrator.run.status import Status
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.provisioner.kube.errors import CONFLICT, AbsentError, ApiError, TakenError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, number, text

RETRY_S, REFUSED_S = 5.0, 60.0
"""Seconds until the next look after trouble that may pass at once, and after a refusal that something else may lift."""


class Reconciler:
    """Reconciles the Experiments of one place; any number of threads, each Experiment by one at a time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._api = place.api
        self._begin = Beginner(place)
        self.active: dict[str, str] = {}
        """Experiment -> state, of those that are looked at again and again."""
        self._failed: Counter[str] = Counter()
        """Experiment -> looks in a row to which the API server gave no answer."""

    def reconcile(self, name: str) -> float | None:
        """Bring an Experiment and its run together; return the seconds until the next look, None for none."""
        resource = self._api.find("Experiment", name)
        if resource is None:
            self._gone(name)
            tidy_foreign(self._api, self._snapshot(name))
            return None
        if dig(resource, "metadata", "deletionTimestamp"):
            self._leaving(resource)
            return None
        try:
            found = self._outcome(resource)
        except Exception as error:
            # A person who asks kubectl is to hear of it, and not the log alone.
            self._report(resource, refused(resource, "Fault", f"fault of the operator: {error!r}", None))
            raise
        self._count(name, found)
        return found.again if self._report(resource, found) else 0.0

    def _outcome(self, resource: Object) -> Outcome:
        try:
            return self._act(resource, self._snapshot(name_of(resource)))
        except (AbsentError, NotFound) as error:
            # Something went away meanwhile: what is there now is another thing.
            return Outcome(changing(resource, str(error)), again=RETRY_S)
        except StillEndingError as error:
            # Their end is told by the watch of pods.
            return Outcome(Verdict("pending", str(error)), again=RETRY_S)
        except TakenError as error:
            return refused(resource, "NameTaken", str(error), REFUSED_S)
        except ApiError as error:
            code, again = ("Refused", REFUSED_S) if error.lasting else ("NoAnswer", self._later(name_of(resource)))
            return refused(resource, code, str(error), again)
        except InvalidInput as error:
            return refused(resource, "Invalid", str(error), None)
        except DoesNotFitError as error:
            return refused(resource, "DoesNotFit", str(error), REFUSED_S)
        except SurrealError as error:
            return refused(resource, "Refused", str(error), REFUSED_S)

    def _act(self, resource: Object, seen: Snapshot | None) -> Outcome:
        if seen is None or seen.root is None:
            return self._without_root(resource, seen)
        holder = text(seen.root, "metadata", "annotations", EXPERIMENT)
        if holder != text(resource, "metadata", "uid"):
            return self._adopt(resource, seen)
        if not is_sealed(seen):
            self._begin.begin_again(resource, seen)
            return self._look(resource, self._again(seen))
        try:
            changed = self._change(resource, seen)
        except InvalidInput as error:
            # The run goes on as it was, and its end is to be seen.
            found = self._look(resource, seen)
            refusal = replace(found.verdict, accepted=False, refusal=str(error), code="Invalid")
            return replace(found, verdict=refusal)
        return self._look(resource, self._again(seen) if changed else seen)

    def _without_root(self, resource: Object, seen: Snapshot | None) -> Outcome:
        """Begin a run; one that was there once is over, and is not made again."""
        run = text(resource, "status", "run")
        if run:
            ended = end_rest(self._api, seen, run) if seen else []
            event = ("EndedLeftovers", f"{', '.join(ended)} lost the ConfigMap of the run", True)
            return replace(over(resource, seen), told=(event,) if ended else ())
        if dig(resource, "spec", "suspend") is True:
            desired.experiment_of(resource)
            why = "it was suspended before it began: spec.suspend"
            return Outcome(Verdict("stopped", why, code="Suspended", replicas=0))
        if seen and seen.claim:
            self._refuse_foreign_claim(resource, seen)
        begun = self._begin.begin(resource)
        told = ("Created", f"made {begun.objects} objects of run {begun.run}", False)
        verdict = Verdict("pending", run=begun.run, attempt=1, selector=desired.pods_query(resource))
        return Outcome(verdict, again=SOON_S, told=(told,))

    def _refuse_foreign_claim(self, resource: Object, seen: Snapshot) -> None:
        name = name_of(resource)
        raise TakenError(
            f"the results of an earlier run {name!r} are there, in claim {seen.name}: surreal delete {name} removes "
            "them, or choose another name"
        )

    def _adopt(self, resource: Object, seen: Snapshot) -> Outcome:
        """Take over a run that the command line made from the same experiment; refuse any other."""
        name = name_of(resource)
        wanted = desired.experiment_of(resource)
        _, recorded = recorded_of(seen)
        theirs, _ = strictyaml.load(recorded, Source(name))
        other = desired.differences(desired.as_read_now(theirs), wanted.to_data())
        if other or not is_sealed(seen) or text(seen.root, "metadata", "annotations", EXPERIMENT):
            why = f"; it differs in {desired.in_words(other)}" if other else ""
            run = text(seen.root, "metadata", "labels", RUN)
            raise TakenError(
                f"name {name!r} is used by another run, {run}{why}: choose another name, or surreal delete {name}"
            )
        self._begin.adopt(resource, seen)
        found = self._look(resource, self._again(seen))
        told = ("Adopted", f"took over run {found.verdict.run}, which surreal create made", False)
        return replace(found, told=(told, *found.told))

    def _change(self, resource: Object, seen: Snapshot) -> bool:
        """Follow the spec of a run that is there; return False if it asks nothing new."""
        marks = dig(seen.root, "metadata", "annotations") or {}
        stopped, suspended = bool(marks.get(STOPPED)), dig(resource, "spec", "suspend") is True
        state = status_of(seen).state
        if suspended and state != "succeeded":
            # An operator that died may have stopped some of its Jobs.
            return state != "failed" and not (stopped and seen.paused) and self._begin.suspend(seen, BY_SPEC)
        if marks.get(SPEC_DIGEST) != desired.digest(resource) and self._edit(resource, seen, state == "succeeded"):
            return True
        if state == "succeeded":
            return False
        wanted = number(resource, "metadata", "annotations", WANTED_ATTEMPT)
        asked = wanted > number(seen.root, "metadata", "annotations", ATTEMPT) and (stopped or state == "failed")
        if asked or (stopped and all(marks.get(key) == value for key, value in BY_SPEC.items())):
            self._begin.resume(resource, seen)
            return True
        return False

    def _edit(self, resource: Object, seen: Snapshot, over: bool) -> bool:
        """Follow an edit of the spec; return whether the run goes on with other replicas. Raises InvalidInput."""
        edit = edit_of(resource, seen)
        if edit.kept and not over:
            left_out = f"{desired.in_words(edit.kept)}: left out of the spec; the run keeps what it began with"
            tell(self._api, resource, "Kept", left_out)
        if edit.replicas and not over:
            self._begin.rescale(resource, seen, edit.wanted, edit.file)
            tell(self._api, resource, "Scaled", edit.said)
            self._begin.resume(resource, self._again(seen))
            return True
        if edit.ttl:
            self._begin.retime(resource, seen, edit.wanted, edit.file)
        elif not edit.replicas:
            self._begin.keep(resource, seen)
        return False

    def _look(self, resource: Object, seen: Snapshot) -> Outcome:
        """Return the state of a run that is there, after ending what outlives it and a run that will never work."""
        shown = self._place.look(seen) if any(map(runs, seen.pods)) else Seen()
        run = status_of(seen, shown.progress if shown.progress.steps else None, shown.channels, shown.still)
        told: list[tuple[str, str, bool]] = []
        verdict = judge(seen, shown.progress if run.progress.steps == 0 else run.progress, self._place.patience)
        if verdict.reason:
            self._begin.fail(seen, verdict.reason)
            told.append(("Ended", verdict.reason, True))
            seen = self._again(seen)
            run = status_of(seen)
        if ended := end_leftovers(self._api, seen):
            told.append(("EndedLeftovers", f"{', '.join(ended)} outlived the run", True))
        # A pod that shows nothing now would be waited for once more.
        if run.state == "running" and shown != Seen() and (decided := self._place.autoscale(seen)):
            told.append(("Autoscaled", decided, False))
        self._keep(seen, run)
        again = verdict.again if run.state in ("pending", "running") else None
        if run.state == "pending":
            again = min(look_after(seen), again if again is not None else math.inf)
        return Outcome(self._verdict(resource, seen, run), run, again, tuple(told))

    def _verdict(self, resource: Object, seen: Snapshot, run: Status) -> Verdict:
        role = desired.acting_role(resource.get("spec") or {})
        there = [pod for pods in seen.pods_of(role).values() for pod in pods if runs(pod)]
        return Verdict(
            run.state,
            run.reason,
            run=text(seen.root, "metadata", "labels", RUN),
            attempt=number(seen.root, "metadata", "annotations", ATTEMPT),
            replicas=len(there),
            selector=desired.pods_query(resource),
        )

    def _keep(self, seen: Snapshot, run: Status) -> None:
        """Note how far the run is where that outlives its pods."""
        collect.keep_outcome(self._api, seen, run)
        if run.over:
            collect.keep_progress(self._api, seen, run.progress)
            self._place.forget(seen.name)

    def _report(self, resource: Object, found: Outcome) -> bool:
        """Write the status if it has changed, and events on what is new in it; False if the resource changed too."""
        old = resource.get("status") or {}
        run = found.run
        new = status_document(resource, found.verdict, run)
        for reason, message, warning in (*found.told, *news(old, new, found.verdict), *pruned(resource, old)):
            tell(self._api, resource, reason, message, warning)
        return self._write(resource, new)

    def _write(self, resource: Object, status: Object) -> bool:
        """Write what is new in a status; False for a resource that has changed since, or is another of that name."""
        change = changes(resource.get("status") or {}, status)
        try:
            if change:
                version = text(resource, "metadata", "resourceVersion")
                self._api.patch_status("Experiment", name_of(resource), change, version)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return False
        return True

    def _later(self, name: str) -> float:
        """Return the seconds until the next try, twice as many each time: one that fails is not to hold up others."""
        self._failed[name] += 1
        return min(REFUSED_S, RETRY_S * 2.0 ** (self._failed[name] - 1))

    def _count(self, name: str, found: Outcome) -> None:
        if found.verdict.code != "NoAnswer":
            self._failed.pop(name, None)
        if found.verdict.state in ("pending", "running") and found.verdict.run:
            self.active[name] = found.verdict.state
        else:
            self.active.pop(name, None)

    def _leaving(self, resource: Object) -> None:
        """End the run of an Experiment that is being removed and that a finalizer of others holds."""
        name = name_of(resource)
        seen = self._snapshot(name)
        self._gone(name)
        if seen and text(seen.root, "metadata", "annotations", EXPERIMENT) == text(resource, "metadata", "uid"):
            end_held(self._api, seen)
            tell(self._api, resource, "Deleting", "its run is removed")
        if why := held_by(resource):
            self._write(resource, {"state": "stopped", "reason": why})

    def _gone(self, name: str) -> None:
        self.active.pop(name, None)
        self._failed.pop(name, None)
        self._place.forget(name)

    def _snapshot(self, name: str) -> Snapshot | None:
        return collect.find_snapshot(self._api, name, self._place.events)

    def _again(self, seen: Snapshot) -> Snapshot:
        return collect.snapshot(self._api, seen.name, self._place.events)
