"""`surreal export`: a trained policy as a file for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from surreal.cli.ui.options import output_option, policy_options
from surreal.cli.ui.output import Output, emit
from surreal.orchestrator.run.results import Which
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from surreal.algorithms.computation.graph import Computation, Value
    from surreal.algorithms.exporting.files import Format
    from surreal.orchestrator.saved_run import SavedRun


@click.command(name="export")
@policy_options
@click.option(
    "--format",
    type=click.Choice(["onnx", "torchscript", "npz"]),
    help="Form of the file; by the ending of --out if not given, else onnx.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file; NAME.onnx, NAME.pt or NAME.npz if not given.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@output_option
def command(
    saved: "SavedRun",
    which: Which,
    code: Path | None,
    format: "Format | None",
    out: Path | None,
    force: bool,
    output: Output,
) -> None:
    """Write the policy of NAME to a file that needs no surreal: statistics, memory and bounds are inside.

    NAME is an experiment, a run folder, a checkpoint folder or a URL.
    """
    from surreal.algorithms.exporting.files import WRITERS, export, format_of
    from surreal.algorithms.policies import Policy

    policy = saved.policy(which, code)
    if not isinstance(policy, Policy):
        raise InvalidInput(f"{saved.name}: it is exported already. Name the run that it is of.")
    if format is None and out is None:
        format = "onnx"
    path = out or Path(f"{saved.name}{WRITERS[format or 'onnx'][1]}")
    format = format_of(path, format)
    if path.exists() and not force:
        raise InvalidInput(f"--out: {str(path)!r} is there already. Name another file, or give --force.")
    graph = export(policy, path, format)
    data = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "steps": policy.about["steps"],
        "inputs": [each.to_data() for each in graph.inputs],
        "outputs": [each.to_data() for each in graph.outputs],
    }
    emit(data, output, lambda: _said(path, graph))


def _said(path: Path, graph: "Computation") -> str:
    ends = [f"{end:<7} {_value(each)}" for end in ("input", "output") for each in getattr(graph, f"{end}s")]
    return "\n".join([f"{path}  {path.stat().st_size:,} bytes", *ends])


def _value(value: "Value") -> str:
    return f"{value.name}  {value.dtype} [{', '.join(map(str, ('n', *value.shape)))}]"
