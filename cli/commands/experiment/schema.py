"""`surreal schema`: the JSON Schema that lets an editor complete and check the files a person writes."""

import json

import click

from surreal.orchestrator.experiment.json_schema import experiment_schema
from surreal.provisioner.cluster.load import cluster_schema

SCHEMAS = {"experiment": experiment_schema, "cluster": cluster_schema}


@click.command(name="schema")
@click.argument("document", type=click.Choice(list(SCHEMAS)), default="experiment")
def command(document: str) -> None:
    """Print the JSON Schema of experiment files, or of cluster files.

    Save it and begin a file with `# yaml-language-server: $schema=PATH` to have an editor check as you type.
    """
    click.echo(json.dumps(SCHEMAS[document](), indent=2))
