"""The Helm chart of what a cluster needs once, and Helm, which puts it there."""

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner import subprocesses

OPERATOR = ("operator.enabled=true", "operator.crds.create=true")
"""Settings of a chart with the operator."""
RELEASE = "surreal"
"""The name of the installed chart."""


@dataclass(frozen=True)
class Install:
    """Arguments of `helm upgrade`; None and empty leave it to Helm and the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    values: Sequence[Path] = ()
    settings: Sequence[str] = ()
    """`key=value`, as Helm's `--set` reads it."""

    def command(self) -> list[str]:
        """Return the command that installs the chart, or brings an installed one to these values."""
        given = [
            ("--namespace", self.namespace),
            ("--kube-context", self.context),
            ("--kubeconfig", self.kubeconfig),
            *(("--values", str(path)) for path in self.values),
            *(("--set", setting) for setting in self.settings),
        ]
        options = [word for option, value in given if value for word in (option, value)]
        return ["helm", "upgrade", "--install", RELEASE, str(chart_folder()), *options]


def chart_folder() -> Path:
    """Return the chart as this package carries it."""
    return Path(str(files("surreal.charts"))) / "surreal"


def install(wanted: Install) -> str:
    """Have Helm install or upgrade the chart; its words.

    Raises InvalidInput, with the command to run elsewhere, where Helm is not at hand, and SurrealError with Helm's last
    words where it fails.
    """
    for path in wanted.values:
        if not path.is_file():
            raise InvalidInput(f"{path}: no such file. Start from the chart's own: {chart_folder() / 'values.yaml'}")
    if not shutil.which("helm"):
        raise InvalidInput(
            f"helm is not on your PATH: {subprocesses.INSTALL['helm']}; with it, this command runs, and you can too:\n"
            + shlex.join(wanted.command())
        )
    try:
        return subprocesses.run(wanted.command())
    except SurrealError as error:
        if absent := re.search(r'namespaces "([^"]+)" not found', str(error)):
            raise SurrealError(f"helm: {error}.\nMake the namespace first: kubectl create ns {absent[1]}") from None
        if owner := re.search(r'conflict with \\?"([^"\\]+)', str(error)):
            forced = shlex.join([*wanted.command(), "--force-conflicts"])
            raise SurrealError(
                f"helm: {error}.\n{owner[1]} has written these fields. This takes them over: {forced}"
            ) from None
        raise
