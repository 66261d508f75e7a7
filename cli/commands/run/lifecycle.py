"""`surreal stop`, `surreal resume` and `surreal delete`: end a run, or continue it."""

import sys
from functools import partial

import click

from surreal.cli.ui.options import location_options, name_argument, names_argument, output_option, run_of, set_option
from surreal.cli.ui.output import Output, talk
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.run.location import Location, forget, remembered
from surreal.orchestrator.run.status import OUTCOMES
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError, Unreachable


@click.command(name="stop")
@name_argument
@location_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation, even if the checkpoints are lost.")
def stop(name: str, location: Location | None, yes: bool) -> ExitCode:
    """Stop the experiment NAME after a checkpoint; returns when every process is gone."""
    run = run_of(name, location)
    loss = "" if yes else run.loss_at_stop()
    if loss and not _confirmed(f"{loss}.", "Stop it?"):
        talk("nothing was stopped")
        return ExitCode.FAILED
    if run.stop():
        talk(f"{name} {run.status().state}. Continue it: surreal resume {name}")
        return ExitCode.DONE
    state = run.status().state
    talk(f"{name} does not run: it {'has' if state in ('succeeded', 'failed') else 'is'} {state}")
    return ExitCode.DONE


@click.command(name="resume")
@name_argument
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once.")
@click.option("--accept-changes", is_flag=True, help="Continue with other versions of its packages than it had.")
@set_option
@location_options
@output_option
def resume(
    name: str,
    detach: bool,
    accept_changes: bool,
    overrides: tuple[str, ...],
    location: Location | None,
    output: Output,
) -> ExitCode:
    """Continue the stopped or failed experiment NAME from its last checkpoint, and watch it.

    With --set it goes on with other values, such as more steps, also after it has succeeded. Ctrl-C stops watching; the
    run continues. The exit code is its outcome.
    """
    run = run_of(name, location)
    resumed = partial(run.resume, accept_changes=accept_changes, changes=overrides)
    return start_and_watch(resumed, run.backend, name, detach, output)


@click.command(name="scale")
@name_argument
@click.argument("sizes", metavar="ROLE=N...", nargs=-1, required=True)
@location_options
def scale(name: str, sizes: tuple[str, ...], location: Location | None) -> ExitCode:
    """Give roles of the experiment NAME other numbers of processes: surreal scale NAME actor=64.

    A run that runs saves a checkpoint, and goes on from it at once with the new numbers.
    """
    replicas = dict(_size(size) for size in sizes)
    run = run_of(name, location)
    run.scale(replicas)
    said = ", ".join(f"{role} {number}" for role, number in replicas.items())
    talk(f"{name} {run.status().state} with {said}")
    return ExitCode.DONE


def _size(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if not role or not number.isdecimal() or not number.isascii():
        raise InvalidInput(f"{text!r} is no size of a role. Write ROLE=N, for example actor=64.")
    return role, int(number)


@click.command(name="delete")
@names_argument
@location_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation, even if it runs.")
@click.option("--forget", "forgotten", is_flag=True, help="Only forget runs of a cluster that is gone; asks nothing.")
def delete(names: tuple[str, ...], yes: bool, forgotten: bool, location: Location | None) -> ExitCode:
    """Kill the processes of the experiments NAME... and remove their logs, metrics and checkpoints."""
    if forgotten:
        for name in names:
            talk(f"forgot {name}" if forget(name, location) else f"{name} is not remembered as a run of a cluster")
        return ExitCode.DONE
    runs = [run_of(name, location) for name in dict.fromkeys(names)]
    try:
        running = [run.name for run in runs if not run.status().over]
    except (InvalidInput, Unreachable) as error:
        raise _with_way_out(error, names) from None
    said = f"{', '.join(running)} still runs."
    if running and not yes and not _confirmed(said, "End it and remove all its files?"):
        talk("nothing was deleted")
        return ExitCode.FAILED
    for run in runs:
        run.delete()
        talk(f"deleted {run.name}")
    return ExitCode.DONE


def _with_way_out(error: InvalidInput | Unreachable, names: tuple[str, ...]) -> SurrealError:
    """Return the error of a cluster that cannot be reached, with how to forget runs that were noted there."""
    noted = [name for name in names if name in remembered()]
    if not noted:
        return error
    return type(error)(f"{error}. If the cluster is gone for good: surreal delete --forget {' '.join(noted)}")


def _confirmed(said: str, question: str) -> bool:
    """Ask for confirmation. Raises InvalidInput if stdin is not a terminal."""
    if not sys.stdin.isatty():
        raise InvalidInput(f"{said} Confirmation is required: pass --yes.")
    return click.confirm(f"{said} {question}", err=True)


@click.command(name="wait")
@name_argument
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Give up after so long (exit code 7).")
@location_options
def wait(name: str, timeout: float | None, location: Location | None) -> ExitCode:
    """Wait until the experiment NAME is over.

    Exit code: 0 succeeded, 1 failed, 6 stopped, 7 the time is up, 8 nothing was heard of it for 15 minutes.
    """
    status = run_of(name, location).wait(timeout, notify=talk)
    talk(f"{name} {status.state}{': ' + status.reason if status.reason else ''}")
    return OUTCOMES[status.state]
