"""`surreal schema`: the JSON Schema that lets an editor complete and check experiment files."""

import json

import click

from surreal.orchestrator.schema import experiment_schema


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of experiment files.

    Save it and begin a file with `# yaml-language-server: $schema=PATH` to have an editor check as you type.
    """
    click.echo(json.dumps(experiment_schema(), indent=2))
