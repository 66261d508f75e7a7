"""Programs of others, run without a shell: what they say is read, and a failure says their last words."""

import shutil
import subprocess
from collections.abc import Callable, Sequence

from surreal.protocol.errors import SurrealError

LAST_LINES = 20

INSTALL = {
    "minikube": "https://minikube.sigs.k8s.io/docs/start",
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "gke-gcloud-auth-plugin": "gcloud components install gke-gcloud-auth-plugin",
    "aws": "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    "helm": "https://helm.sh/docs/intro/install",
    "docker": "https://docs.docker.com/engine/install",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "terraform": "https://developer.hashicorp.com/terraform/install",
}
"""Program -> how to get it."""


def lacking(programs: Sequence[str]) -> list[str]:
    """Return a sentence for each program that is not on PATH."""
    return [f"{name} is not on your PATH: {INSTALL[name]}" for name in programs if not shutil.which(name)]


def run(command: Sequence[str], say: Callable[[str], None] | None = None) -> str:
    """Run a program to its end; its stdout, also said line by line. Raises SurrealError with its last words."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if say else subprocess.PIPE,
        text=True,
    ) as process:
        lines: list[str] = []
        if say:
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                say(lines[-1])
        out, errors = process.communicate()
    out = "\n".join([*lines, out])
    if process.returncode:
        # all of it was said already
        kept = 1 if say else LAST_LINES
        words = "\n".join((errors or out).strip().splitlines()[-kept:]) or "it said nothing"
        raise SurrealError(
            f"{' '.join(command)}: failed with exit code {process.returncode}:\n{words.rstrip('.')}.\n"
            "Repair the cause, and give the command again."
        )
    return out
