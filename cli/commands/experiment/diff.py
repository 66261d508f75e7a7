"""`surreal diff`: what an experiment file would change in a cluster."""

from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, location_options, output_option, prices_option
from surreal.cli.ui.output import Output, console, emit, talk
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prepare import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError

DIFFERS = ExitCode.FAILED
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(name="diff")
@experiment_options
@location_options
@prices_option
@output_option
def command(
    file: Path, overrides: tuple[str, ...], location: Location | None, prices: Path | None, output: Output
) -> ExitCode:
    """Compare FILE with the experiment of that name in the cluster, and change nothing.

    The exit code is 0 where nothing differs, 1 where something does, 2 or more after an error, as for `kubectl diff`.
    """
    location = location or Location("kube")
    if location.backend != "kube":
        raise InvalidInput(f"--on {location.backend} has no objects to compare: --on kube")
    try:
        experiment = load_experiment(file, overrides)
        return _compare(experiment, plan_for(experiment, location, None, prices), file, location, output)
    except SurrealError as error:
        talk(str(error))
        return max(error.exit_code, ExitCode.INVALID)


def _compare(experiment: Experiment, plan: Plan, file: Path, location: Location, output: Output) -> ExitCode:
    from surreal.orchestrator.backends.kube.lifecycle.diff import diff, identity
    from surreal.orchestrator.backends.kube.manifests.render import render
    from surreal.orchestrator.run.code_archive import packed
    from surreal.provisioner.kube.client import Api

    api = Api.connect(location.kubeconfig, location.context, location.namespace, talk)
    run, attempt, user = identity(api, plan.name)
    code = packed(plan.code, file.absolute().parent)
    text = experiment.to_yaml()
    objects = render(plan, run, api.namespace, keys=None, code=code, experiment=text, attempt=attempt, user=user)
    found = diff(api, plan.name, objects)
    if output == "table":
        for each in found:
            talk(f"{each.change}: {each.kind} {each.name}{f' ({each.note})' if each.note else ''}")
            _print(each.text())
        talk(f"{len(found)} of {len(objects)} objects differ" if found else "nothing differs")
    else:
        data = [
            {"kind": each.kind, "name": each.name, "change": each.change, "note": each.note, "diff": each.text()}
            for each in found
        ]
        emit(data, output, str)
    return DIFFERS if found else ExitCode.DONE


def _print(text: str) -> None:
    for line in text.splitlines():
        console().print(line, style=COLOURS.get(line[:1]), soft_wrap=True)
