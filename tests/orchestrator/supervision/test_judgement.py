"""What follows from the exit of a process, judged in this process: the same words and states on every backend."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.plan.model import PlannedNotify
from surreal.orchestrator.run.home import Folder, write_json
from surreal.orchestrator.supervision.exits import last_lines
from surreal.orchestrator.supervision.judgement import Judgement
from surreal.orchestrator.supervision.observe import status_of
from surreal.orchestrator.supervision.process import SupervisedProcess
from surreal.orchestrator.supervision.record import RunRecord, processes_of
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.guard.notification import Notice
from surreal.protocol.worker.termination import TerminationMessage
from tests.orchestrator.runs import plan


class Told(SupervisedProcess):
    """A process that is nothing but what it was told."""

    alive = True

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.signals: list[int] = []

    @property
    def is_running(self) -> bool:
        return self.alive

    def send(self, number: signal.Signals) -> None:
        self.call_off()
        self.signals.append(number)


class Run(Judgement[Told]):
    """A run whose processes exit as the test says."""

    def __init__(self, folder: Folder, **update: Any) -> None:
        toy = plan().model_copy(update=update)
        record = RunRecord("running", processes=processes_of(toy))
        super().__init__(folder, toy, [Told(toy.role(each.role), each) for each in record.processes], record)
        self.named = {process.name: process for process in self.processes}
        for process in self.processes:
            process.before_start()
            process.record.state = "running"

    def exits(self, name: str, code: int, message: TerminationMessage | None = None) -> None:
        """Have a process exit with a status; `message` is what its worker recorded."""
        process = self.named[name]
        path = self.folder.outcome(process.role.name, process.record.index)
        path.unlink(missing_ok=True)
        if message:
            message.write(path)
        self.on_exit(process, code)

    def state(self, name: str) -> str:
        """The state of a process in the record on disk."""
        self.save()
        return next(each.state for each in RunRecord.read(self.folder).processes if each.name == name)

    def said(self) -> str:
        """The supervisor's log."""
        return self.folder.supervisor_log.read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder of a run."""
    folder = Folder(tmp_path / "toy")
    folder.make()
    return folder


def recorded(code: ExitCode, reason: str = "") -> tuple[int, TerminationMessage]:
    """An exit that the worker recorded."""
    return int(code), TerminationMessage(code.name, reason)


def test_the_end_of_the_learner_ends_the_run_and_others_are_signalled_only_after_their_grace(folder: Folder) -> None:
    run = Run(folder)
    run.exits("learner/0", *recorded(ExitCode.DONE))
    assert run.ending and run.ending.state == "succeeded"
    run.push_ending(run.ending)
    assert all(process.signals == [] for process in run.processes)
    run.ending.terminate_at = run.ending.kill_at = 0.0
    run.push_ending(run.ending)
    run.push_ending(run.ending)
    assert [each.signals for each in run.processes] == [[signal.SIGTERM, signal.SIGKILL]] * 4


@pytest.mark.parametrize(("code", "state"), [(ExitCode.PREEMPTED, "done"), (ExitCode.FATAL, "stopped")])
def test_one_that_missed_the_word_on_the_wire_is_done_if_it_ended_by_its_signal(
    folder: Folder, code: ExitCode, state: str
) -> None:
    run = Run(folder)
    run.exits("learner/0", *recorded(ExitCode.DONE))
    run.exits("actor/0", *recorded(code))
    assert run.state("actor/0") == state


def test_a_process_that_is_told_to_end_in_a_run_that_is_stopped_is_stopped(folder: Folder) -> None:
    run = Run(folder)
    run.end("stopped", "")
    run.exits("actor/0", *recorded(ExitCode.PREEMPTED))
    assert run.state("actor/0") == "stopped"


def test_a_preempted_process_starts_again_and_no_failure_is_counted(folder: Folder) -> None:
    run = Run(folder)
    run.exits("learner/0", *recorded(ExitCode.PREEMPTED))
    learner = run.named["learner/0"]
    assert run.state("learner/0") == "restarting" and learner.start_at is not None
    assert learner.backoff.in_a_row == 0 and learner.record.reason == ""


def test_a_crash_is_named_with_its_cause_until_it_works_again(folder: Folder) -> None:
    run = Run(folder)
    run.exits("actor/1", *recorded(ExitCode.FAILED, "ValueError: no licence"))
    assert run.named["actor/1"].record.reason == "failed (exit 1): ValueError: no licence"
    assert "actor/1 failed (exit 1): ValueError: no licence; restarting in 0.2 s (1st time)" in run.said()


def lost(folder: Folder, name: str, elsewhere: bool = False, **update: Any) -> str:
    """What the supervisor says that the death of a process costs; `update` is of its role."""
    toy = plan()
    role = toy.role(name.partition("/")[0]).model_copy(update=update)
    others = [each for each in toy.roles if each.name != role.name]
    run = Run(folder, roles=(*others, role))
    run.elsewhere = elsewhere
    run.exits(name, -signal.SIGKILL)
    return run.said().splitlines()[-1].rpartition("; ")[2]


def test_a_learner_is_said_to_resume_from_its_checkpoint_only_where_it_has_one(folder: Folder) -> None:
    (folder.checkpoints / ".unfinished-step-1").mkdir()
    (folder.checkpoints / "best-1").mkdir()
    assert lost(folder, "learner/0") == "it begins anew: it has no checkpoint yet"
    assert lost(folder, "learner/0", elsewhere=True) == "it resumes from its checkpoint, if it has one"
    (folder.checkpoints / "step-1").mkdir()
    assert lost(folder, "learner/0") == "it resumes from its checkpoint"


def test_a_further_learner_is_said_to_take_over_the_state_of_the_first(folder: Folder) -> None:
    (folder.checkpoints / "step-1").mkdir()
    assert lost(folder, "learner/1", replicas=2) == "it takes over the state of learner/0"


def test_lines_that_say_the_cause_again_are_not_quoted_after_it() -> None:
    output = b"12:00:00.000 INFO began\n12:00:01.000 ERROR no licence.\n12:00:01.001 INFO actor/0 ends: fatal\n"
    assert last_lines(output, "no licence.") == "12:00:00.000 INFO began"
    assert last_lines(output, "no lic...") == "12:00:00.000 INFO began", "a cause that was cut is the same"
    assert last_lines(output.partition(b"\n")[2], "no licence.") == ""
    assert last_lines(b"12:00:01.000 ERROR no licence.\nstack\n", "").splitlines()[0].endswith("no licence.")


def test_a_shard_is_said_to_go_on_from_its_snapshot_only_where_it_has_one(folder: Folder) -> None:
    assert lost(folder, "actor/1", keeps_snapshots=True) == "it begins anew: it has no snapshot yet"
    (folder.state("actor", 1) / "index-1").mkdir(parents=True)
    assert lost(folder, "actor/1", keeps_snapshots=True) == "it goes on from its last snapshot"


def test_a_limit_stops_the_run_and_a_person_is_told_though_it_was_stopped(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def tell(_: object, notice: Notice) -> list[str]:
        told.append(notice.text)
        return []

    monkeypatch.setattr("surreal.orchestrator.supervision.judgement.tell", tell)
    run = Run(folder, notify=PlannedNotify(url="https://example.org", no_progress_minutes=1.0))
    run.exits("learner/0", *recorded(ExitCode.STOPPED, "spec.limits.hours: 2 are used up."))
    run.close()
    assert RunRecord.read(folder).state == "stopped"
    assert told == ["toy stopped: spec.limits.hours: 2 are used up."]


def test_a_run_that_a_person_stops_is_told_to_no_person(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surreal.orchestrator.supervision.judgement.tell", lambda *_: pytest.fail("was told"))
    run = Run(folder, notify=PlannedNotify(url="https://example.org", no_progress_minutes=1.0))
    run.end("stopped", "")
    run.close()
    assert RunRecord.read(folder).state == "stopped"


def test_what_did_not_reach_a_person_is_part_of_the_reason(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surreal.orchestrator.supervision.judgement.tell", lambda *_: ["the server is away"])
    run = Run(folder, notify=PlannedNotify(url="https://example.org", no_progress_minutes=1.0))
    run.exits("learner/0", *recorded(ExitCode.FATAL, "no such environment"))
    run.close()
    assert RunRecord.read(folder).reason == "learner/0 cannot go on (exit 3): no such environment\nthe server is away"


def test_progress_of_the_run_forgives_failures_of_its_processes(folder: Folder) -> None:
    run = Run(folder)
    for steps in (0, 0, 10):
        write_json(folder.progress, {"steps": steps})
        run.exits("actor/0", -signal.SIGSEGV)
        run.named["actor/0"].before_start()
    assert run.named["actor/0"].backoff.without_progress == 1 and run.best_steps == 10


@pytest.mark.parametrize(
    ("steps", "mean", "said"),
    [(59_136, 476.5, "its return reached stop_at_return, 475"), (200_000, 476.5, ""), (59_136, 20.0, "")],
)
def test_a_run_that_ends_before_its_last_step_says_why(folder: Folder, steps: int, mean: float, said: str) -> None:
    run = Run(folder, config={"total_steps": 200_000, "stop_at_return": 475.0})
    folder.plan.write_text(run.plan.to_json())
    write_json(folder.progress, {"steps": steps, "episode_return": mean})
    run.exits("learner/0", *recorded(ExitCode.DONE))
    why = f"; {said}" if said else ""
    assert f"learner/0 is done at step {steps:,}{why}: the run succeeded" in run.said()
    run.close()
    assert (status_of(folder).state, status_of(folder).reason) == ("succeeded", said)


@pytest.mark.parametrize("goal", ["best", [475.0], {"mean": 475.0}, True, None])
def test_a_key_of_an_algorithm_of_ones_own_is_no_goal(folder: Folder, goal: Any) -> None:
    run = Run(folder, config={"total_steps": 200_000, "stop_at_return": goal})
    run.exits("learner/0", *recorded(ExitCode.DONE))
    assert "learner/0 is done at step 0: the run succeeded" in run.said()
    assert run.ending and run.ending.state == "succeeded"


def test_a_disk_that_takes_no_file_gets_the_record_into_its_spare_room(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(folder)
    run.record.reserve(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(RunRecord, "write", full)
        run.exits("actor/0", *recorded(ExitCode.PREEMPTED))
        run.save()
    said = json.loads(folder.spare_status.read_text())["disk"]
    assert re.fullmatch(r"No space left on device \(status\.json; since [0-9 :-]{16} UTC\)", said)
    assert RunRecord.read(folder).disk == said
    run.save()
    assert RunRecord.read(folder).disk == "" and run.full_since is None
    assert "takes no files: No space left on device" in run.said() and "takes files again" in run.said()


def test_a_supervisor_that_fails_itself_fails_the_run_with_its_stack_in_the_log(folder: Folder) -> None:
    class Broken(Run):
        def step(self) -> None:
            if not self.ending:
                raise RuntimeError("a fault of ours")
            for process in self.processes:
                process.alive = False

        def wait(self) -> None:
            pass

        def finish(self) -> None:
            self.close()

    run = Broken(folder)
    run.run()
    record = RunRecord.read(folder)
    assert record.state == "failed" and "RuntimeError('a fault of ours')" in record.reason
    assert "Traceback" in run.said()
