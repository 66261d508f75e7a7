"""Driver of a sweep: a process of its own that starts runs while there is room, and ends when all are over.

`python -P -m surreal.orchestrator.sweeps.driver NAME` goes on with what the folder says. All that it knows is on disk
before it acts, so it may be killed at any moment: the runs go on, and the next driver takes them up.
"""

import os
import signal
import sys
import time
import traceback

from surreal.orchestrator.client import Client
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.sweeps.folder import Record, SweepFolder, Trial
from surreal.orchestrator.sweeps.load import run_name
from surreal.orchestrator.sweeps.study import open_study
from surreal.protocol.errors import NotFound, SurrealError, Unreachable

LOCAL_SECONDS, REMOTE_SECONDS = 0.25, 5.0
"""Seconds between two looks at the runs."""
RUNGS, RUNG_STEPS = 20, 50_000
"""Times that the score of a trial is judged, and the steps between where an experiment has no number of them."""
FAILURES = 3
"""Trials that fail before any succeeds, after which a sweep gives up."""


class Driver:
    """One sweep under way."""

    def __init__(self, folder: SweepFolder) -> None:
        self.folder, self.sweep, self.record = folder, folder.sweep(), folder.read()
        self.client = Client.at(folder.location())
        self.record.state, self.record.reason, self.record.driver = "running", "", os.getpid()
        known = {trial.number: trial.state != "running" for trial in self.record.trials}
        self.study = open_study(self.sweep.document.spec, folder.path, known)
        self._over: dict[str, Status] = {}
        self._rungs: dict[int, int] = {}
        self._exhausted = self._begun = False
        folder.write(self.record)

    def run(self) -> None:
        """Start and watch until every trial is over, or the sweep gives up."""
        interval = REMOTE_SECONDS if self.client.backend.remote else LOCAL_SECONDS
        while self.record.state == "running":
            self.step()
            if self.record.state == "running":
                time.sleep(interval)

    def step(self) -> None:
        """Look at all runs, end what is to end, and start what there is room for."""
        try:
            seen = self._look()
        except Unreachable:
            return
        for trial in self._running():
            self._judge(trial, {name: seen[name] for name in trial.runs if name in seen})
        self._begun = True
        self._give_up()
        while self.record.state == "running" and self._has_room(seen) and self._start(seen):
            pass
        if self.record.state == "running" and self._exhausted and not self._running():
            self._end("succeeded" if any(trial.state == "succeeded" for trial in self.record.trials) else "failed")
        self.folder.write(self.record)

    def _running(self) -> list[Trial]:
        return [trial for trial in self.record.trials if trial.state == "running"]

    def _look(self) -> dict[str, Status]:
        """Return the statuses of the runs of all trials that are not over."""
        found = dict(self._over)
        for trial in self._running():
            for name, seed in trial.runs.items():
                if name in found:
                    continue
                try:
                    found[name] = self.client.backend.status(name)
                except NotFound:
                    self._create(trial, name, seed, found)
                    continue
                if found[name].over and found[name].state != "stopped":
                    self.client.backend.reconcile(name)
                    self._over[name] = found[name]
        return found

    def _judge(self, trial: Trial, seen: dict[str, Status]) -> None:
        """Bring a trial up to date, and end it where all its runs are over or it is hopeless."""
        progress = [status.progress for status in seen.values()]
        scores = [
            score
            for each in progress
            if (score := each.eval_return if each.eval_return is not None else each.episode_return) is not None
        ]
        trial.score = sum(scores) / len(scores) if scores else None
        trial.steps = sum(each.steps for each in progress)
        trial.seconds = sum(each.elapsed or 0.0 for each in progress)
        trial.cost = trial.seconds / 3600 * trial.price
        states = {status.state for status in seen.values()}
        if not self._begun and states & {"failed", "stopped"}:
            self._take_up(seen)
        elif "failed" in states:
            self._close(trial, "failed", seen)
        elif states == {"succeeded"} and len(seen) == len(self.sweep.seeds):
            self._close(trial, "succeeded", seen)
        elif self._hopeless(trial):
            self._close(trial, "pruned", seen)
        elif "stopped" in states:
            # A user stopped that run on its own.
            self._close(trial, "stopped", seen)

    def _take_up(self, seen: dict[str, Status]) -> None:
        """Resume the runs that a sweep left which was stopped, or a machine that went down."""
        for name, status in seen.items():
            if status.state in ("failed", "stopped"):
                self._over.pop(name, None)
                self.client.backend.resume(name)

    def _hopeless(self, trial: Trial) -> bool:
        """Report the score of a trial each time it has come a rung further; return True where it is to be given up."""
        total = self.sweep.experiment.spec.algorithm.config.get("total_steps")
        whole = total * len(self.sweep.seeds) if isinstance(total, int) else RUNG_STEPS * RUNGS
        rung = RUNGS * trial.steps // whole
        if trial.score is None or rung <= self._rungs.get(trial.number, 0):
            return False
        self._rungs[trial.number] = rung
        return self.study.report(trial.number, rung, trial.score)

    def _close(self, trial: Trial, state: str, seen: dict[str, Status]) -> None:
        for name, status in seen.items():
            if not status.over:
                self.client.backend.stop(name)
        trial.state = state  # type: ignore[assignment]
        self.study.end(trial.number, trial.score if state == "succeeded" else None, state == "pruned")

    def _has_room(self, seen: dict[str, Status]) -> bool:
        """Return whether one more run may start."""
        most = self.sweep.document.spec.parallel
        if most is None and not self.client.backend.remote:
            asked = sum(role.most * role.resources.cpu for role in self.sweep.experiment.spec.roles.values())
            most = max(1, int((os.cpu_count() or 1) // asked))
        if most is not None:
            return sum(name not in self._over for trial in self._running() for name in trial.runs) < most
        # A cluster says by a process that waits that its pools are full.
        return not any(_waits(status) for status in seen.values())

    def _start(self, seen: dict[str, Status]) -> bool:
        """Start the next run: of a trial that has seeds left, or of a new trial. Return False for none."""
        trial = next((trial for trial in self._running() if len(trial.runs) < len(self.sweep.seeds)), None)
        trial = trial or self._next_trial()
        if trial is None:
            return False
        seed = self.sweep.seeds[len(trial.runs)]
        name = run_name(self.sweep.name, trial.number, seed)
        trial.runs[name] = seed
        # The run is on disk before it is there: a driver that dies in between makes it in the next one.
        self.folder.write(self.record)
        return self._create(trial, name, seed, seen)

    def _next_trial(self) -> Trial | None:
        if self._exhausted:
            return None
        following = self.study.next(max((trial.number for trial in self.record.trials), default=-1) + 1)
        if following is None:
            self._exhausted = True
            return None
        self.record.trials.append(Trial(*following, {}))
        return self.record.trials[-1]

    def _create(self, trial: Trial, name: str, seed: int, seen: dict[str, Status]) -> bool:
        """Make a run, if it is not there. Return False where the place does not answer now."""
        try:
            experiment = self.sweep.run(trial.number, trial.point, seed)
            plan = self.client.plan(experiment)
            trial.price = (plan.cost.per_hour or 0.0) if plan.cost else 0.0
            if name not in self.client.backend.names():
                self.client.create(experiment, plan)
            seen[name] = self.client.backend.status(name)
        except Unreachable:
            return False
        except SurrealError as error:
            self.record.reason = f"{name}: {str(error).splitlines()[0]}"
            self._close(trial, "failed", {each: seen[each] for each in trial.runs if each in seen})
        return True

    def _give_up(self) -> None:
        """End a sweep whose budget is used up, or whose first trials all fail."""
        budget, trials = self.sweep.document.spec.budget, self.record.trials
        used = {
            "steps": sum(trial.steps for trial in trials),
            "hours": sum(trial.seconds for trial in trials) / 3600,
            "cost": sum(trial.cost for trial in trials),
        }
        for key, most in budget.model_dump().items():
            if most is not None and used[key] >= most:
                self._stop_all()
                self._end("succeeded", f"spec.budget.{key}: {most:g} is used up")
                return
        failed = [trial for trial in trials if trial.state == "failed"]
        if len(failed) >= FAILURES and not any(trial.state in ("succeeded", "pruned") for trial in trials):
            self._stop_all()
            why = self.record.reason or f"see surreal logs {next(iter(failed[-1].runs), self.sweep.name)}"
            self._end("failed", f"the first {len(failed)} trials failed: {why}")

    def _stop_all(self) -> None:
        for trial in self._running():
            for name in trial.runs:
                if name not in self._over:
                    self.client.backend.stop(name)
            trial.state = "stopped"

    def _end(self, state: str, reason: str = "") -> None:
        self.record.state, self.record.reason = state, reason or self.record.reason  # type: ignore[assignment]


def _waits(status: Status) -> bool:
    """Return whether a run waits for room, or some of its processes do."""
    processes = (process for role in status.roles.values() for process in role)
    return not status.over and (status.state == "pending" or any(each.state == "pending" for each in processes))


def main() -> int:
    """Start the driver of the sweep that the command line names; return when it has its lock."""
    folder = SweepFolder.find(sys.argv[1])
    held = folder.acquire()
    if held is None:
        print("another driver has the sweep", file=sys.stderr)
        return 1
    # The caller waits for the first process only; the lock belongs to the second as well.
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _drive(folder)
        os._exit(0)
    return 0


def _drive(folder: SweepFolder) -> None:
    """Drive a sweep to its end; what goes wrong is its reason."""
    try:
        Driver(folder).run()
    except BaseException as error:
        if not isinstance(error, SurrealError):
            traceback.print_exc()
        folder.write(Record("failed", f"its driver failed: {error}", None, folder.read().trials))


if __name__ == "__main__":
    sys.exit(main())
