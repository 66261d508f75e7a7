"""Text about a run for people: numbers, durations, and the whole run in one line."""

import re

from surreal.orchestrator.run.status import ProcessStatus, Status
from surreal.orchestrator.run.status import duration as rough_duration
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.transport.stats import ONCE

UNKNOWN = "-"


def number(value: float | None, decimals: int = 0) -> str:
    """Return `12,345.6`; `-` for unknown."""
    return UNKNOWN if value is None else f"{value:,.{decimals}f}"


def duration(seconds: float | None) -> str:
    """Return `1:02:03` or `2:03`; `-` for unknown."""
    if seconds is None:
        return UNKNOWN
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def steps(progress: Progress) -> str:
    """Return `412,000/1,000,000 (41 %)`; without a total, the steps alone."""
    if not progress.total_steps:
        return number(progress.steps)
    return f"{progress.steps:,}/{progress.total_steps:,} ({min(100, 100 * progress.steps // progress.total_steps)} %)"


def share(progress: Progress) -> str:
    """Return `412,000 (41%)`, the steps for a narrow column; without a total, the steps alone."""
    if not progress.total_steps:
        return number(progress.steps)
    return f"{progress.steps:,} ({min(100, 100 * progress.steps // progress.total_steps)}%)"


def role(name: str, processes: tuple[ProcessStatus, ...]) -> str:
    """Return `actor 2/2 (1 restart)`, running processes of all; `learner done` if none will run any more."""
    running = sum(process.state == "running" for process in processes)
    if {process.state for process in processes} == {"done"}:
        return f"{name} done"
    restarts = sum(process.restarts for process in processes)
    again = f" ({restarts} restart{'s' if restarts > 1 else ''})" if restarts else ""
    return f"{name} {running}/{len(processes)}{again}"


def speed(status: Status) -> str:
    """Return `12,345 steps/s`; `starting` or `compiling (once for this machine)` before the first step.

    It is `none for 4 min` where progress has stopped.
    """
    now = status.progress
    if not status.over and not now.steps and _compiles(status):
        return f"compiling {ONCE}"
    if not status.over and now.stalled and now.progress_age is not None:
        return f"none for {rough_duration(now.progress_age)}"
    if not status.over and not now.steps:
        return "starting"
    return f"{number(now.steps_per_second)} steps/s"


def _compiles(status: Status) -> bool:
    """Return True while a process says that it compiles what is then kept on this machine."""
    return any(ONCE in process.reason for processes in status.roles.values() for process in processes)


def line(status: Status) -> str:
    """Return a run in one line, for a log or a pipe."""
    now = status.progress
    parts = [
        f"{status.name} {status.state}",
        f"{steps(now)} steps",
        speed(status),
        f"return {number(now.episode_return, 1)}",
        f"eval {number(now.eval_return, 1)}",
        f"staleness {number(now.staleness, 1)}",
        *(role(name, processes) for name, processes in status.roles.items()),
        f"{duration(now.eta_seconds)} left",
    ]
    return "  ".join(parts)


_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC and other strings
    r"|[ -/]*[0-~])"  # two characters
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_line(text: str) -> str:
    """Return the line as a terminal would show it in the end: the last state of a progress bar, no control codes.

    A log must not move the cursor of its reader, clear the screen or set the title.
    """
    if text.isprintable():
        return text
    without = _ESCAPES.sub("", text)
    states = [state for state in without.split("\r") if state.strip()]
    return _CONTROLS.sub("", states[-1] if states else "")


def one_line(text: str, longest: int) -> str:
    """Return the text in one line of at most so many characters."""
    line = " ".join(plain_line(part) for part in text.split("\n")).strip()
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def numberless(text: str) -> str:
    """Return a sentence without its numbers, which change from look to look."""
    return re.sub(r"\d[\d,.]*", "#", text)
