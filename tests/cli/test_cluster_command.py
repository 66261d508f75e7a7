"""`surreal cluster` from nothing to pools and back, with recording stubs of terraform, minikube and clouds' tools."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.cluster.store import cluster_folder
from tests.cli.terminal import terminal
from tests.cli.test_main import surreal
from tests.provisioner.cluster_api import Api, cluster_api
from tests.provisioner.clusters import GKE
from tests.provisioner.stubs import Stubs

EXAMPLES = Path(__file__).parents[2] / "examples/clusters"
CONTEXT = "gke_my-project_us-central1-a_lab"


class Desk:
    """A home, a PATH of stubs and a kubeconfig of one's own."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.folder, self.api = folder, api
        self.stubs = Stubs(folder / "bin")
        self.home = folder / "home"
        self.variables = {
            "HOME": str(folder),
            "SURREAL_HOME": str(self.home),
            "PATH": str(folder / "bin"),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "GOOGLE_CREDENTIALS": "{}",
            "AWS_PROFILE": "x",
        }
        self.file = folder / "cluster.yaml"
        self.file.write_text(GKE)

    def is_up(self) -> None:
        """As `up` leaves it."""
        folder = cluster_folder(self.home, "lab")
        folder.write(load_cluster(self.file), {})
        folder.enter("up")
        there: list[dict[str, object]] = [
            {"mode": "managed", "type": "a", "name": name, "instances": [{}]} for name in ("one", "two")
        ]
        (folder.path / "terraform.tfstate").write_text(json.dumps({"resources": there}))

    def cluster(self, *arguments: str | Path) -> "CompletedProcess[str]":
        return surreal("cluster", *arguments, **self.variables)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with cluster_api(tmp_path / "kubeconfig", CONTEXT, "lab", "surreal") as api:
        yield Desk(tmp_path, api)


def test_up_shows_the_plan_applies_it_and_writes_the_context(desk: Desk) -> None:
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in done.stderr
    assert "[2/2] a.two: Creation complete after 0s" in done.stderr
    assert f"cluster lab is up, kubeconfig context {CONTEXT}" in done.stderr
    assert [call[0] for call in desk.stubs.calls("terraform")] == ["init", "plan", "apply"]
    where = ["--location", "us-central1-a", "--project", "my-project"]
    assert desk.stubs.calls("gcloud") == [["container", "clusters", "get-credentials", "lab", *where, "--quiet"]]
    folder = desk.home / "clusters/lab"
    assert json.loads((folder / "main.tf.json").read_text())["resource"]["google_container_cluster"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not (folder / "plan.tfplan").exists()


def test_up_again_finds_nothing_to_change(desk: Desk) -> None:
    desk.is_up()
    done = desk.cluster("up", desk.file)
    assert done.returncode == 0, "nothing is asked where nothing changes"
    assert [call[0] for call in desk.stubs.calls("terraform")] == ["init", "plan"]


def test_up_that_failed_half_way_says_why_and_goes_on_from_there(desk: Desk) -> None:
    (desk.stubs.folder / "apply-fails").touch()
    failed = desk.cluster("up", desk.file, "-y")
    assert failed.returncode == 1
    assert "terraform apply: failed:\na.two: Quota 'CPUS' exceeded: Limit: 24.0 in region us-central1." in failed.stderr
    assert "give the same command again" in failed.stderr
    (half,) = json.loads(desk.cluster("status", "-o", "json").stdout)
    assert (half["phase"], half["resources"]) == ("going up", 1)
    (desk.stubs.folder / "apply-fails").unlink()
    assert desk.cluster("up", desk.file, "-y").returncode == 0
    (whole,) = json.loads(desk.cluster("status", "-o", "json").stdout)
    assert (whole["phase"], whole["resources"], whole["context"]) == ("up", 2, CONTEXT)


def test_nothing_is_applied_without_agreement(desk: Desk) -> None:
    done = desk.cluster("up", desk.file)
    assert done.returncode == 2
    assert "--yes: confirmation is required, but stdin is not a terminal. Pass --yes." in done.stderr
    assert ["apply"] not in [call[:1] for call in desk.stubs.calls("terraform")]


def test_on_a_terminal_no_is_no(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desk.variables.items():
        monkeypatch.setenv(name, value)
    with terminal("cluster", "up", desk.file) as screen:
        screen.wait_for("Make the cluster 'lab' so? [y/N]")
        screen.press(b"n\n")
        assert screen.end() == 1
        assert "nothing was made" in screen.shown
    assert ["apply"] not in [call[:1] for call in desk.stubs.calls("terraform")]


def test_plan_says_the_engines_plan_on_stdout_and_applies_nothing(desk: Desk) -> None:
    done = desk.cluster("plan", desk.file)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Plan: 2 to add, 0 to change, 0 to destroy.\n"
    assert [call[0] for call in desk.stubs.calls("terraform")] == ["init", "plan"]


def test_down_deletes_and_forgets(desk: Desk) -> None:
    desk.is_up()
    done = desk.cluster("down", "lab", "-y")
    assert done.returncode == 0, done.stderr
    assert "Plan: 0 to add, 0 to change, 2 to destroy." in done.stderr
    assert not (desk.home / "clusters/lab").exists()
    assert desk.cluster("status", "-o", "json").stdout == "[]\n"


def test_down_while_experiments_run_is_refused_and_names_them(desk: Desk) -> None:
    desk.is_up()
    desk.api.add_pod("cheetah-ppo", "cheetah-ppo-actor-0")
    desk.api.add_pod("cheetah-ppo", "cheetah-ppo-actor-1")
    done = desk.cluster("down", "lab", "-y")
    assert done.returncode == 2
    assert "cluster 'lab': still runs default/cheetah-ppo. Stop them first, or give --force" in done.stderr
    assert desk.cluster("down", "lab", "-y", "--force").returncode == 0


def test_down_is_refused_where_nobody_can_tell_whether_experiments_run(desk: Desk) -> None:
    desk.is_up()
    desk.api.refusal = (403, "pods is forbidden")
    done = desk.cluster("down", "lab", "-y")
    assert done.returncode == 2
    assert "cluster 'lab': cannot tell whether experiments run there: you may not list the pods" in done.stderr


def test_down_names_the_disks_that_stay_and_are_billed(desk: Desk) -> None:
    desk.is_up()
    desk.api.add_volume("cheetah-ppo", "10Gi", "projects/p/zones/z/disks/pvc-1")
    done = desk.cluster("down", "lab", "-y")
    assert done.returncode == 0, done.stderr
    assert "1 disks stay when the cluster is gone, and are billed" in done.stderr
    assert "lab/cheetah-ppo: 10Gi, projects/p/zones/z/disks/pvc-1" in done.stderr


def test_down_of_a_protected_cluster_is_refused(desk: Desk) -> None:
    desk.file.write_text(GKE.replace("  provider: gke", "  provider: gke\n  deletionProtection: true"))
    desk.is_up()
    done = desk.cluster("down", "lab", "-y", "--force")
    assert done.returncode == 2
    assert "is protected. Set deletionProtection: false" in done.stderr


def test_down_of_an_unknown_cluster_names_the_nearest(desk: Desk) -> None:
    desk.is_up()
    done = desk.cluster("down", "lap", "-y")
    assert done.returncode == 5
    assert "no cluster 'lap' (did you mean 'lab'?). There are: lab" in done.stderr


def test_another_cluster_of_the_same_name_is_refused(desk: Desk) -> None:
    desk.is_up()
    desk.file.write_text(GKE.replace("my-project", "other-project"))
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 2
    assert (
        "cluster.yaml:7: spec.project: the cluster 'lab' that is there has another project (my-project)" in done.stderr
    )


def test_everything_that_is_missing_is_said_before_anything_starts(desk: Desk) -> None:
    for name in ("gcloud", "gke-gcloud-auth-plugin", "terraform"):
        (desk.stubs.folder / name).unlink()
    del desk.variables["GOOGLE_CREDENTIALS"]
    desk.variables["GOOGLE_APPLICATION_CREDENTIALS"] = ""
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-4:] == [
        "PATH: has neither terraform nor tofu. Install one of them: "
        "https://developer.hashicorp.com/terraform/install or "
        "https://opentofu.org/docs/intro/install",
        "gcloud is not on your PATH: https://cloud.google.com/sdk/docs/install",
        "gke-gcloud-auth-plugin is not on your PATH: gcloud components install gke-gcloud-auth-plugin",
        "no Google Cloud credentials: gcloud auth application-default login",
    ]
    assert not desk.home.exists()


def test_render_prints_or_writes_the_files_and_needs_nothing(desk: Desk) -> None:
    for program in desk.stubs.folder.iterdir():
        program.unlink()
    printed = desk.cluster("render", desk.file)
    assert printed.returncode == 0, printed.stderr
    assert "# main.tf.json\n{" in printed.stdout
    desk.cluster("render", desk.file, "-d", desk.folder / "out")
    written = {path.name for path in (desk.folder / "out").iterdir()}
    assert written == {"main.tf.json", "variables.tf.json", "outputs.tf.json"}


def test_node_pools_of_karpenter_are_applied_to_the_cluster(desk: Desk) -> None:
    pool = "{name: auto, machine: c7i.2xlarge, max: 8, autoprovision: true}"
    text = (EXAMPLES / "eks.yaml").read_text().replace("name: surreal-eks", "name: lab")
    desk.file.write_text(text.replace("  pools:\n", f"  pools:\n    - {pool}\n"))
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 0, done.stderr
    account, storage, (method, path, body) = desk.api.sent
    assert account[1].startswith("/api/v1/namespaces/default/serviceaccounts/surreal?")
    assert storage[2]["provisioner"] == "ebs.csi.eks.amazonaws.com"
    assert (method, path) == ("PATCH", "/apis/karpenter.sh/v1/nodepools/auto?fieldManager=surreal&force=true")
    assert body["spec"]["template"]["metadata"]["labels"] == {"surreal.dev/pool": "auto"}
    assert desk.stubs.calls("aws") == [
        ["eks", "update-kubeconfig", "--name", "lab", "--alias", "lab", "--region", "us-east-1"]
    ]


def test_a_cluster_that_refuses_its_objects_is_quoted(desk: Desk) -> None:
    pool = "{name: auto, machine: c7i.2xlarge, max: 8, autoprovision: true}"
    text = (EXAMPLES / "eks.yaml").read_text().replace("name: surreal-eks", "name: lab")
    desk.file.write_text(text.replace("  pools:\n", f"  pools:\n    - {pool}\n"))
    desk.api.refusal = (422, "spec.limits is wrong")
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 1
    assert (
        "the API server refuses to apply serviceaccounts/surreal: spec.limits is wrong; the machines are" in done.stderr
    )


def test_minikube_goes_up_with_a_label_for_each_node_and_down(desk: Desk) -> None:
    desk.file.write_text((EXAMPLES / "minikube.yaml").read_text().replace("max: 1", "max: 2"))
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 0, done.stderr
    assert "[0/19] [surreal] minikube v1.38.1 on Ubuntu 24.04" in done.stderr
    calls = desk.stubs.calls("minikube")
    assert calls[1][:6] == ["start", "--profile=surreal", "--nodes=2", "--cpus=4", "--memory=6144mb", "--cni=calico"]
    for node in ("surreal", "surreal-m02"):
        marks = ["label", "node", node, "--overwrite", "surreal.dev/pool=cpu"]
        assert ["--profile=surreal", "kubectl", "--", *marks] in calls
    assert "kubeconfig context surreal" in done.stderr
    assert desk.cluster("down", "surreal", "-y").returncode == 0
    assert desk.stubs.calls("minikube")[-1] == ["delete", "--profile=surreal"]


def test_a_minikube_cluster_that_is_there_grows_to_what_the_file_says(desk: Desk) -> None:
    text = (EXAMPLES / "minikube.yaml").read_text().replace("max: 1", "max: 2")
    desk.file.write_text(text)
    desk.cluster("up", desk.file, "-y")
    desk.file.write_text(text.replace("max: 2", "max: 3"))
    done = desk.cluster("up", desk.file, "-y")
    assert done.returncode == 0, done.stderr
    assert desk.stubs.calls("minikube").count(["node", "add", "--profile=surreal"]) == 1
    assert "surreal-m03 is of pool cpu" in done.stderr


def test_minikubes_own_error_and_advice_are_said(desk: Desk) -> None:
    (desk.stubs.folder / "start-fails").touch()
    done = desk.cluster("up", EXAMPLES / "minikube.yaml", "-y")
    assert done.returncode == 1
    assert done.stderr.endswith("Docker is not running\nStart Docker and try again\n")


def test_status_is_a_table_for_people(desk: Desk) -> None:
    assert "no clusters yet" in desk.cluster("status").stderr
    desk.is_up()
    rows = [line.split() for line in desk.cluster("status").stdout.splitlines()]
    assert rows[0] == ["NAME", "PROVIDER", "LOCATION", "PHASE", "RESOURCES", "POOLS", "CONTEXT"]
    assert rows[1] == ["lab", "gke", "us-central1", "up", "2", "system", "1-3,", "actors", "0-40", CONTEXT]
