"""The commands that make a cluster on this machine, and what is at hand to reach one elsewhere."""

from pathlib import Path

import pytest

from surreal.provisioner.providers import minikube
from surreal.provisioner.providers.registry import PROVIDERS, provider_of
from surreal.provisioner.spec.cluster import Cluster
from tests.provisioner.clusters import cluster
from tests.provisioner.stubs import Stubs

SIZE = {"cpu": 1.5, "memory": "3Gi"}
POOLS = [
    {"name": "cpu", "max": 2, "resources": SIZE, "labels": {"team": "rl"}},
    {"name": "spot", "max": 1, "resources": SIZE, "spot": True, "taints": [{"key": "team", "value": "rl"}]},
]


def test_all_nodes_are_started_at_once_and_marked_one_by_one() -> None:
    options = {"driver": "docker", "cni": "cilium", "addons": ["registry", "metrics-server"]}
    made = cluster("minikube", pools=POOLS, minikube=options, kubernetes={"version": "1.33"})
    start, *marks = minikube.all_commands(made)
    assert start == [
        *["minikube", "start", "--profile=lab", "--nodes=3", "--cpus=2", "--memory=3072mb", "--cni=cilium"],
        *["--addons=registry,metrics-server", "--driver=docker", "--kubernetes-version=v1.33"],
        *["--interactive=false", "--output=json"],
    ]
    kubectl = ["minikube", "--profile=lab", "kubectl", "--"]
    cpu, spot = ["team=rl", "surreal.dev/pool=cpu"], ["surreal.dev/pool=spot", "surreal.dev/spot=true"]
    taints = ["surreal.dev/spot=true:NoSchedule", "team=rl:NoSchedule"]
    assert marks == [
        [*kubectl, "label", "node", "lab", "--overwrite", *cpu],
        [*kubectl, "label", "node", "lab-m02", "--overwrite", *cpu],
        [*kubectl, "label", "node", "lab-m03", "--overwrite", *spot],
        [*kubectl, "taint", "node", "lab-m03", "--overwrite", *taints],
    ]


def test_a_pool_with_gpus_gets_those_of_this_machine() -> None:
    pools = [{"name": "gpu", "max": 1, "resources": SIZE, "accelerator": {"type": "nvidia-l4", "count": 1}}]
    assert "--gpus=all" in minikube.start_command(cluster("minikube", pools=pools))


def context(made: Cluster) -> str | None:
    return provider_of(made).context(made)


def test_a_context_is_called_as_the_providers_program_calls_it() -> None:
    assert context(cluster("gke")) == "gke_my-project_us-central1_lab"
    assert context(cluster("gke", zones=["us-central1-a"])) == "gke_my-project_us-central1-a_lab"
    assert context(cluster("eks")) == "lab"
    assert context(cluster("existing", context="mine")) == "mine"
    assert context(cluster("existing")) is None


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with all programs and no credentials."""
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CREDENTIALS",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
        "CLOUDSDK_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(Stubs(tmp_path / "bin").folder))
    return tmp_path


@pytest.mark.parametrize(
    ("provider", "said", "vendor", "file"),
    [
        ("gke", "no Google Cloud credentials", "Google", ".config/gcloud/application_default_credentials.json"),
        ("eks", "no AWS credentials", "Amazon EC2", ".aws/credentials"),
    ],
)
def test_credentials_lie_in_a_file_or_come_with_the_machine(
    nothing: Path, provider: str, said: str, vendor: str, file: str
) -> None:
    found = PROVIDERS[provider]
    assert [sentence for sentence in found.missing(nothing) if said in sentence]
    machine = nothing / "sys/class/dmi/id/sys_vendor"
    machine.parent.mkdir(parents=True)
    machine.write_text(vendor + "\n")
    assert found.missing(nothing) == []
    machine.unlink()
    path = nothing / file
    path.parent.mkdir(parents=True)
    path.touch()
    assert found.missing(nothing) == []
