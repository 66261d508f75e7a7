"""Programs of others, as far as a test needs them: each records how it was called and answers what the real one does.

What terraform answers was recorded from Terraform 1.11; what minikube answers follows its documented JSON output.
"""

import json
import sys
from pathlib import Path

RECORDER = """\
#!{python} -P
import json, os, sys
from pathlib import Path
name, home = Path(sys.argv[0]).name, Path(sys.argv[0]).parent
arguments = sys.argv[1:]
with (home / "calls").open("a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\\n")
"""

TERRAFORM = """\
state = Path("terraform.tfstate")
there = json.loads(state.read_text())["resources"] if state.exists() else []
fails = (home / "apply-fails").exists()
def event(kind, text, **more):
    print(json.dumps({{"@level": "info", "@message": text, "type": kind, **more}}), flush=True)
def keep(names):
    found = [{{"mode": "managed", "type": "a", "name": name, "instances": [{{}}]}} for name in names]
    state.write_text(json.dumps({{"resources": found}}))
match arguments[0]:
    case "init":
        print("Terraform has been successfully initialized!")
    case "plan":
        destroy = "-destroy" in arguments
        wanted = [] if destroy else ["one", "two"]
        changes = len(wanted) != len(there)
        added, removed = (0, len(there)) if destroy else (2 - len(there), 0)
        print(f"Plan: {{added}} to add, 0 to change, {{removed}} to destroy.")
        Path("plan.tfplan").write_text(json.dumps(wanted))
        sys.exit(2 if changes else 0)
    case "apply":
        wanted = json.loads(Path("plan.tfplan").read_text())
        event("planned_change", "a.one: Plan to create")
        event("planned_change", "a.two: Plan to create")
        event("apply_start", "a.one: Creating...")
        event("apply_complete", "a.one: Creation complete after 0s")
        if fails:
            keep(["one"])
            event("diagnostic", "Error: quota", **{{"@level": "error", "diagnostic": {{"address": "a.two",
                "summary": "Quota 'CPUS' exceeded", "detail": "Limit: 24.0 in region us-central1."}}}})
            sys.exit(1)
        event("apply_complete", "a.two: Creation complete after 0s")
        keep(wanted)
        event("change_summary", "Apply complete!")
"""

MINIKUBE = """\
cluster = home / "minikube.json"
state = json.loads(cluster.read_text()) if cluster.exists() else None
profile = next((a.partition("=")[2] for a in arguments if a.startswith("--profile=")), "minikube")
def event(kind, **data):
    print(json.dumps({{"specversion": "1.0", "id": "0", "source": "https://minikube.sigs.k8s.io/",
        "type": "io.k8s.sigs.minikube." + kind, "datacontenttype": "application/json", "data": data}}), flush=True)
def step(number, message):
    event("step", currentstep=str(number), message=message, name="x", totalsteps="19")
match arguments:
    case ["start", *_]:
        if (home / "start-fails").exists():
            step(0, "\\U0001f604  minikube v1.38.1 on Ubuntu 24.04")
            event("error", advice="Start Docker and try again", exitcode="69", issues="", url="",
                name="PROVIDER_DOCKER_NOT_RUNNING", message="Docker is not running")
            sys.exit(69)
        step(0, "\\U0001f604  [" + profile + "] minikube v1.38.1 on Ubuntu 24.04\\n")
        step(19, "\\U0001f3c4  Done! kubectl is now configured to use it\\n")
        nodes = int(next(a for a in arguments if a.startswith("--nodes=")).partition("=")[2])
        cluster.write_text(json.dumps(state or {{"nodes": nodes}}))
    case ["node", "list", *_]:
        for n in range(state["nodes"]):
            print(profile + ("" if n == 0 else f"-m{{n + 1:02}}") + f"\\t192.168.49.{{n + 2}}")
    case ["node", "add", *_]:
        cluster.write_text(json.dumps({{"nodes": state["nodes"] + 1}}))
    case ["profile", "list", *_]:
        valid = [{{"Name": "surreal", "Status": "OK", "Config": {{}}}}] if state else []
        print(json.dumps({{"invalid": [], "valid": valid}}))
    case ["delete", *_]:
        cluster.unlink(missing_ok=True)
"""

HELM = """\
if (home / "helm-fails").exists():
    sys.exit((home / "helm-fails").read_text())
print('Release "surreal" has been upgraded. Happy Helming!')
"""

PROGRAMS = {
    "terraform": TERRAFORM,
    "minikube": MINIKUBE,
    "helm": HELM,
    "gcloud": "",
    "gke-gcloud-auth-plugin": "",
    "aws": "",
}


class Stubs:
    """A folder of programs to be the whole PATH, and what was asked of them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        folder.mkdir()
        for name in names or PROGRAMS:
            program = folder / name
            program.write_text((RECORDER + PROGRAMS[name]).format(python=sys.executable))
            program.chmod(0o755)

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call of one program."""
        path = self.folder / "calls"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [arguments for program, *arguments in lines if program == name]
