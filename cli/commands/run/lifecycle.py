"""`surreal stop`, `resume`, `scale`, `delete` and `wait`: end runs and groups, continue them, or change them."""

import sys
from collections.abc import Sequence
from functools import partial

import click

from surreal.cli.ui.options import (
    Number,
    location_options,
    name_argument,
    output_option,
    run_of,
    selection_options,
    set_option,
)
from surreal.cli.ui.output import Output, counted, talk, warn
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.client import Run
from surreal.orchestrator.groups import Selection, chosen
from surreal.orchestrator.run.location import Location, forget, remembered
from surreal.orchestrator.run.status import OUTCOMES
from surreal.orchestrator.sweeps.folder import split_names
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError, Unreachable


@click.command(name="stop")
@selection_options
@location_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation, even if the checkpoints are lost.")
def stop(names: tuple[str, ...], selection: Selection, yes: bool, location: Location | None) -> ExitCode:
    """Stop the experiments and sweeps NAME... after a checkpoint; returns when every process is gone."""
    sweeps, rest = split_names(names)
    runs = _runs(sweeps, rest, location, selection)
    losses = [] if yes else [loss for run in runs if (loss := run.loss_at_stop())]
    if losses and not _confirmed(f"{'; '.join(losses)}.", "Stop it?"):
        talk("nothing was stopped")
        return ExitCode.FAILED
    for name in sweeps:
        from surreal.orchestrator.sweeps import control

        talk(f"{name} stopped with {counted(control.stop(name), 'run')}. Continue it: surreal resume {name}")
    for run in runs:
        stopped, status = run.stop(), run.status()
        state, why = status.state, f": {status.headline}" if status.headline else ""
        if stopped:
            talk(f"{run.name} {state}{why}. Continue it: surreal resume {run.name}")
        else:
            talk(f"{run.name} does not run: it {'has' if state in ('succeeded', 'failed') else 'is'} {state}")
    return ExitCode.DONE


@click.command(name="resume")
@selection_options
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once; several are never watched.")
@click.option("--accept-changes", is_flag=True, help="Continue with other versions of its packages than it had.")
@set_option
@location_options
@output_option
def resume(
    names: tuple[str, ...],
    selection: Selection,
    detach: bool,
    accept_changes: bool,
    overrides: tuple[str, ...],
    location: Location | None,
    output: Output,
) -> ExitCode:
    """Continue the experiments and sweeps NAME... from their last checkpoints, and watch a single one.

    With --set it goes on with other values, such as more steps, also after it has succeeded. With --all only those that
    are stopped or failed are meant. Ctrl-C stops watching; the run continues. The exit code is its outcome.
    """
    sweeps, rest = split_names(names)
    if selection and not selection.states:
        selection = Selection(selection.selector, ("stopped", "failed"), selection.everything, selection.everywhere)
    runs = _runs(sweeps, rest, location, selection)
    for name in sweeps:
        from surreal.orchestrator.sweeps import control

        control.resume(name)
        talk(f"{name} goes on. Watch it: surreal wait {name}")
    changed = partial(Run.resume, accept_changes=accept_changes, changes=overrides)
    if len(runs) == 1 and not sweeps and not selection:
        return start_and_watch(lambda: changed(runs[0]), runs[0].backend, runs[0].name, detach, output)
    for run in runs:
        changed(run)
        talk(f"{run.name} goes on")
    return ExitCode.DONE


@click.command(name="scale")
@name_argument
@click.argument("sizes", metavar="ROLE=N...", nargs=-1)
@click.option("--auto", is_flag=True, help="Follow what the run needs, within min and max, until it is over.")
@location_options
def scale(name: str, sizes: tuple[str, ...], auto: bool, location: Location | None) -> None:
    """Give roles of the experiment NAME other numbers of processes: surreal scale NAME actor=64.

    A run that runs saves a checkpoint, and goes on from it at once with the new numbers. With --auto processes of a
    role with `replicas: {min: 2, max: 64}` come and go in a cluster without that; on this machine they do so anyway.
    """
    if auto == bool(sizes):
        raise click.UsageError("give ROLE=N, or --auto")
    run = run_of(name, location)
    if auto:
        run.backend.autoscale(name, talk)
        return
    replicas = dict(_size(size) for size in sizes)
    warn(run.scale(replicas))
    said = ", ".join(f"{role} {number}" for role, number in replicas.items())
    talk(f"{name} {run.status().state} with {said}")


def _size(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if not role or not number.isdecimal() or not number.isascii():
        raise InvalidInput(f"ROLE=N: {text!r} is no size of a role. Write for example actor=64.")
    return role, int(number)


@click.command(name="delete")
@selection_options
@location_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation, even if it runs.")
@click.option("--forget", "forgotten", is_flag=True, help="Only forget runs of a cluster that is gone; asks nothing.")
def delete(
    names: tuple[str, ...], selection: Selection, yes: bool, forgotten: bool, location: Location | None
) -> ExitCode:
    """Kill the processes of the experiments and sweeps NAME... and remove their logs, metrics and checkpoints."""
    if forgotten:
        for name in names:
            talk(f"forgot {name}" if forget(name, location) else f"{name} is not remembered as a run of a cluster")
        return ExitCode.DONE
    sweeps, rest = split_names(names)
    runs = _runs(sweeps, rest, location, selection)
    # A name that does not exist is found before anything is deleted.
    running = _running(sweeps, runs, names)
    if not yes and not _may_delete(running, runs, selection):
        talk("nothing was deleted")
        return ExitCode.FAILED
    for name in sweeps:
        from surreal.orchestrator.sweeps import control

        talk(f"deleted {name} and {counted(control.delete(name), 'run')}")
    for run in runs:
        run.delete()
        talk(f"deleted {run.name}")
    return ExitCode.DONE


def _running(sweeps: Sequence[str], runs: Sequence[Run], names: tuple[str, ...]) -> list[str]:
    """Return the runs and sweeps that run. Raises NotFound for a run that does not exist."""
    from surreal.orchestrator.sweeps.folder import SweepFolder

    try:
        running = [run.name for run in runs if not run.status().over]
    except (InvalidInput, Unreachable) as error:
        raise _with_way_out(error, names) from None
    return running + [name for name in sweeps if SweepFolder.find(name).read().state == "running"]


def _may_delete(running: Sequence[str], runs: Sequence[Run], selection: Selection) -> bool:
    """Ask before something that runs is deleted, and before all that a selection finds is."""
    if running:
        return _confirmed(f"{', '.join(running)} still runs.", "End it and remove all its files?")
    if selection:
        return _confirmed(
            f"{counted(len(runs), 'experiment')}: {', '.join(run.name for run in runs)}.", "Remove all their files?"
        )
    return True


def _with_way_out(error: InvalidInput | Unreachable, names: tuple[str, ...]) -> SurrealError:
    """Return the error of a cluster that cannot be reached, with how to forget runs that were noted there."""
    noted = [name for name in names if name in remembered()]
    if not noted:
        return error
    return type(error)(f"{error}. If the cluster is gone for good: surreal delete --forget {' '.join(noted)}")


def _confirmed(said: str, question: str) -> bool:
    """Ask for confirmation. Raises InvalidInput if stdin is not a terminal."""
    if not sys.stdin.isatty():
        raise InvalidInput(f"--yes: {said} Confirmation is required. Pass --yes.")
    return click.confirm(f"{said} {question}", err=True)


@click.command(name="wait")
@selection_options
@click.option("--timeout", metavar="SECONDS", type=Number(min=0), help="Give up after so long (exit code 7).")
@location_options
def wait(names: tuple[str, ...], selection: Selection, timeout: float | None, location: Location | None) -> ExitCode:
    """Wait until the experiments and sweeps NAME... are over.

    Exit code: 0 succeeded, 1 failed, 6 stopped, 7 the time is up, 8 nothing was heard of it for 15 minutes; of several
    the largest.
    """
    sweeps, rest = split_names(names)
    code = ExitCode.DONE
    for name in sweeps:
        from surreal.cli.ui.sweep_table import watch_sweep
        from surreal.orchestrator.sweeps.folder import SweepFolder

        code = max(code, watch_sweep(SweepFolder.find(name), timeout))
    for run in _runs(sweeps, rest, location, selection):
        status = run.wait(timeout, notify=talk)
        talk(f"{run.name} {status.state}{': ' + status.reason if status.reason else ''}")
        code = max(code, OUTCOMES[status.state])
    return code


def _runs(sweeps: Sequence[str], names: Sequence[str], location: Location | None, selection: Selection) -> list[Run]:
    """Return the runs that were chosen; none where sweeps alone were."""
    return [] if sweeps and not names and not selection else chosen(names, location, selection, talk)
