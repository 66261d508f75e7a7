"""The status document: what `surreal status NAME -o json` prints, the same for every backend and kept stable.

Fields are only ever added. A number that is not known yet is null.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from surreal.orchestrator.run.channel_stats import ChannelStatus, EndStatus
from surreal.orchestrator.run.home import Folder, tail_lines
from surreal.protocol.errors import ExitCode, InvalidInput
from surreal.protocol.telemetry.gauges import CHECKPOINT, PROGRESS_KEYS, PROGRESS_WORDS, Progress
from surreal.protocol.worker.guard.goal import GOAL_REACHED, goal_reached, is_number
from surreal.protocol.worker.guard.spent import Spent

State = Literal["pending", "running", "succeeded", "failed", "stopped"]
ProcessState = Literal["pending", "running", "restarting", "done", "failed", "stopped"]

OUTCOMES: dict[State, ExitCode] = {
    "succeeded": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "stopped": ExitCode.STOPPED,
}
"""The states in which a run is over, and the exit code that tells each to a script."""

TAIL_BYTES = 512 * 1024
"""Bytes of the end of metrics.jsonl that are read for the newest rows, where no progress.json says them."""
MAX_WORDS = 300
"""Characters of what a process says of its progress."""
LAST_LINES = "; its last lines:"
"""Words of a reason before what a process printed last."""
PLURALS = {"is": "are", "does": "do", "compiles": "compile"}
Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_.]*"
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<verb>in|notin)\s*\((?P<values>[^()]*)\)")
_THERE = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")
_COMMA = re.compile(r",(?![^(]*\))")
"""A comma outside of parentheses."""

MAX_REASONS = 3
"""Different reasons that are said of a run at once."""


@dataclass(frozen=True)
class ProcessStatus:
    """One process of the run."""

    index: int
    state: ProcessState
    restarts: int
    """Starts after the first, since the run was created or resumed."""
    pid: int | None
    """Null when it does not run."""
    node: str
    """The machine it runs on."""
    reason: str = ""
    """The reason why it waits, failed last or makes no progress, where that is known."""


@dataclass(frozen=True)
class Status:
    """A run at one moment."""

    name: str
    backend: str
    folder: str
    """Place of its metrics and checkpoints."""
    state: State
    reason: str = ""
    """The reason of this state; empty while there is nothing to say."""
    created: str = ""
    """Time of its creation, ISO 8601 in UTC."""
    progress: Progress = Progress()
    roles: dict[str, tuple[ProcessStatus, ...]] = field(default_factory=dict)
    channels: tuple[ChannelStatus, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """The labels of the experiment file."""

    @property
    def headline(self) -> str:
        """First line of the reason, whole by itself."""
        return self.reason.partition("\n")[0].removesuffix(LAST_LINES)

    @property
    def over(self) -> bool:
        """True once nothing runs any more."""
        return self.state in OUTCOMES

    @property
    def reached_goal(self) -> bool:
        """True where a goal ended the run before its last step; with the same goal it would end again at once."""
        return self.state == "succeeded" and self.reason.startswith(GOAL_REACHED)

    def to_data(self) -> dict[str, Any]:
        """Return plain data, which another process of this version can read whatever its classes look like."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Status":
        """Return the status that `to_data` took apart."""
        roles = {role: tuple(ProcessStatus(**each) for each in found) for role, found in data["roles"].items()}
        channels = tuple(
            ChannelStatus(each["name"], each["kind"], tuple(EndStatus(**end) for end in each["ends"]))
            for each in data["channels"]
        )
        return cls(**{**data, "progress": Progress(**data["progress"]), "roles": roles, "channels": channels})

    def document(self) -> dict[str, Any]:
        """Return the stable document: flat, plain data in the order in which a person reads it."""
        fields = {
            key: value
            for key, value in asdict(self).items()
            if key in ("name", "backend", "folder", "state", "reason", "created")
        }
        eta = 0.0 if self.state == "succeeded" else self.progress.eta_seconds
        roles = {role: [asdict(process) for process in processes] for role, processes in self.roles.items()}
        channels = [channel.document() for channel in self.channels]
        return {
            **fields,
            **asdict(self.progress),
            "eta_seconds": eta,
            "roles": roles,
            "channels": channels,
            "labels": dict(self.labels),
        }


def running_reason(progress: Progress, processes: Iterable[tuple[str, str]]) -> str:
    """Return why a running run makes no progress, or what fails in it; empty while there is nothing to say.

    `processes` are the names and reasons of those that have one; equal reasons are said once.
    """
    said: dict[str, list[str]] = {}
    for name, reason in processes:
        said.setdefault(reason, []).append(name)
    sentences = [f"{_names(names)} {_said_of(names, reason)}" for reason, names in list(said.items())[:MAX_REASONS]]
    trouble = [f"{progress.trouble}; the run goes on with its results in memory"] if progress.trouble else []
    trouble += refusals(progress)
    if progress.stalled and progress.progress_age is not None:
        if progress.waiting_for:
            sentences.insert(0, f"waiting for {progress.waiting_for}")
        why = f": {'; '.join(sentences)}" if sentences else ""
        return "\n".join([f"no progress for {duration(progress.progress_age)}{why}", *trouble])
    return "\n".join([*sentences, *trouble])


def unsaved(progress: Progress, saved: int) -> str:
    """Return what a run loses where it ends, its newest checkpoint being of step `saved`; "" for nothing."""
    trouble, lost = progress.trouble or "", progress.steps - saved
    if CHECKPOINT not in trouble or lost <= 0:
        return ""
    return f"{trouble}: {lost:,} steps are lost, and a resume goes on from step {saved:,}"


def refusals(progress: Progress) -> list[str]:
    """Return a sentence on fragments that no learner has seen; none where there are none."""
    count = int(progress.refused_fragments)
    if not count:
        return []
    subject = "1 fragment was" if count == 1 else f"{count:,} fragments were"
    return [f"{subject} dropped for NaN, infinity or a wrong shape; the logs of the actors say where"]


def with_goal(status: Status, config: Mapping[str, Any]) -> Status:
    """Return the status of a run with `config`, whose reason says the goal that ended it before its last step."""
    said = goal_reached(config, asdict(status.progress)) if status.state == "succeeded" else ""
    return replace(status, reason="\n".join(filter(None, (said, status.reason)))) if said else status


def duration(seconds: float) -> str:
    """Return a rough duration: `45 s`, `4 min`, `2 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _names(names: list[str]) -> str:
    """Return `actor/0`, `actor/0 and actor/1`, or `actor/0 and 63 others`."""
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} others"


def _said_of(names: list[str], reason: str) -> str:
    """Return the reason, its verb in the plural where there are several."""
    verb, _, rest = reason.partition(" ")
    return f"{PLURALS[verb]} {rest}" if len(names) > 1 and verb in PLURALS else reason


def read_progress(folder: Folder) -> Progress:
    """Return the newest progress: of progress.json, or of the end of metrics.jsonl where no such file is."""
    try:
        progress = progress_of_row(json.loads(folder.progress.read_bytes()))
    except (OSError, ValueError):
        progress = None
    progress = progress or progress_of(tail_lines(folder.metrics_jsonl, TAIL_BYTES))
    if progress.hours is None and (seconds := Spent.read(folder.path).seconds):
        # figures that an algorithm writes by itself do not say it
        return replace(progress, hours=seconds / 3600)
    return progress


def progress_of_row(row: Any) -> Progress | None:
    """Return the progress said by a progress.json; None where that makes no sense."""
    if not isinstance(row, dict) or not is_number(row.get("steps")):
        return None
    numbers = {key: row[key] for key in PROGRESS_KEYS if is_number(row.get(key))}
    words = {key: row[key][:MAX_WORDS] for key in PROGRESS_WORDS if isinstance(row.get(key), str)}
    return Progress(**{**numbers, **words, "progress_at": row["at"] if is_number(row.get("at")) else None})


def progress_of(lines: Sequence[bytes]) -> Progress:
    """Return the progress said by the last lines of a metrics.jsonl, the first perhaps cut."""
    learner, evaluator = _newest_rows(lines)
    row = {**learner, "eval_return": evaluator.get("eval_return"), "progress_at": learner.get("time")}
    return Progress(**{key: row[key] for key in (*PROGRESS_KEYS, "progress_at") if is_number(row.get(key))})


def _newest_rows(lines: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the newest row with steps (the learner's) and the newest with an evaluation; empty where there is none."""
    learner: dict[str, Any] = {}
    evaluator: dict[str, Any] = {}
    for line in reversed(lines):
        # most rows are reports of actors: looking costs less than parsing
        if not learner and b'"updates"' in line:
            learner = _row(line)
        if not evaluator and b'"eval_return"' in line:
            evaluator = _row(line)
        if learner and evaluator:
            break
    return learner, evaluator


def _row(line: bytes) -> dict[str, Any]:
    """Return a row with steps; empty for a line that is cut (just being written, or by a crash) or foreign."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) and "steps" in row else {}


def label_test(selector: str) -> Test:
    """Return a test of a run's labels.

    Terms are `team=rl`, `team!=rl`, `team`, `!team`, `team in (a, b)` and `team notin (a, b)`; with commas between them
    all have to hold. A label that is missing differs from every value, so `team!=rl` and `notin` hold. Raises
    InvalidInput for another text.
    """
    tests = [_term(each.strip(), selector) for each in _COMMA.split(selector)]
    return lambda labels: all(test(labels) for test in tests)


def _term(term: str, selector: str) -> Test:
    if found := _EQUAL.fullmatch(term):
        key, value, equal = found["key"], found["value"], found["sign"] != "!="
        return lambda labels: (labels.get(key) == value) == equal
    if found := _SET.fullmatch(term):
        key, inside = found["key"], found["verb"] == "in"
        values = {each.strip() for each in found["values"].split(",")}
        return lambda labels: (labels.get(key) in values) == inside
    if found := _THERE.fullmatch(term):
        key, there = found["key"], not found["no"]
        return lambda labels: (key in labels) == there
    raise InvalidInput(f"--selector: {selector!r} is no selector of labels. Write it as team=rl,stage!=test.")
