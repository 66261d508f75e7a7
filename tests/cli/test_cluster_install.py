"""`surreal cluster install`: Helm does it, where it is at hand."""

from pathlib import Path

from surreal.provisioner.helm import chart_folder
from tests.cli.test_main import surreal
from tests.provisioner.stubs import Stubs


def test_helm_gets_the_chart_and_what_the_options_say(tmp_path: Path) -> None:
    stubs, values = Stubs(tmp_path / "bin", "helm"), tmp_path / "values.yaml"
    values.write_text("quota: {pods: 20}\n")
    where = ["-n", "rl", "--context", "lab", "--kubeconfig", "config"]
    done = surreal("cluster", "install", *where, "--values", values, "--set", "quota.pods=30", PATH=str(stubs.folder))
    assert done.returncode == 0, done.stderr
    (call,) = stubs.calls("helm")
    assert call[:3] == ["upgrade", "--install", "surreal"]
    assert Path(call[3]).resolve() == chart_folder().resolve()
    assert call[4:] == [
        *("--namespace", "rl", "--kube-context", "lab", "--kubeconfig", "config"),
        *("--values", str(values), "--set", "quota.pods=30"),
    ]
    assert "Happy Helming" in done.stderr and done.stdout == ""


def test_without_helm_the_command_is_printed_to_be_run_elsewhere(tmp_path: Path) -> None:
    done = surreal("cluster", "install", "-n", "rl", "--set", "rbac.users={jane doe}", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "https://helm.sh" in done.stderr
    assert done.stderr.strip().splitlines()[-1].endswith("--namespace rl --set 'rbac.users={jane doe}'")


def test_a_namespace_that_is_not_there_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    stubs = Stubs(tmp_path / "bin", "helm")
    (stubs.folder / "helm-fails").write_text('Error: create: failed to create: namespaces "rl" not found')
    done = surreal("cluster", "install", "-n", "rl", PATH=str(stubs.folder))
    assert done.returncode == 1
    assert "kubectl create ns rl" in done.stderr and "Traceback" not in done.stderr


def test_fields_that_kubectl_wrote_come_with_the_command_that_takes_them_over(tmp_path: Path) -> None:
    stubs = Stubs(tmp_path / "bin", "helm")
    words = 'Apply failed with 1 conflict: conflict with "kubectl": .spec.versions'
    (stubs.folder / "helm-fails").write_text(f"Error: UPGRADE FAILED: {words}")
    done = surreal("cluster", "install", "-n", "rl", PATH=str(stubs.folder))
    assert done.returncode == 1
    assert "kubectl has written these fields" in done.stderr
    assert done.stderr.strip().endswith("--namespace rl --force-conflicts")


def test_a_file_of_values_that_is_not_there_is_said_before_helm_runs(tmp_path: Path) -> None:
    stubs = Stubs(tmp_path / "bin", "helm")
    done = surreal("cluster", "install", "--values", tmp_path / "none.yaml", PATH=str(stubs.folder))
    assert done.returncode == 2
    assert "no such file" in done.stderr and not stubs.calls("helm")
