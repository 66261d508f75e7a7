"""The chart in a real cluster, put there by the real Helm."""

import json
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.doctor.checks import kube_checks
from surreal.provisioner import subprocesses as commands
from surreal.provisioner.kube.client import Api
from tests.charts import helm
from tests.cli.terminal import surreal
from tests.orchestrator.kube.small_run import CONTEXT, namespace, needs_cluster

pytestmark = [
    pytest.mark.e2e,
    needs_cluster,
    pytest.mark.skipif(not helm.HELM, reason="needs helm on PATH"),
]


def kubeconfig_of(user: str, api: Api, folder: Path) -> Path:
    """A kubeconfig with which one is that service account."""
    kubectl = ["kubectl", "--context", CONTEXT, "-n", api.namespace]
    document = json.loads(commands.run([*kubectl, "config", "view", "--raw", "--minify", "-o", "json"]))
    document["users"][0]["user"] = {"token": commands.run([*kubectl, "create", "token", user]).strip()}
    document["contexts"][0]["context"]["namespace"] = api.namespace
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


def test_who_gets_the_role_has_all_rights_that_experiments_need(tmp_path: Path) -> None:
    with namespace() as api:
        file = tmp_path / "values.json"
        file.write_text(json.dumps({"rbac": {"serviceAccounts": [{"name": "jane", "namespace": api.namespace}]}}))
        api.post("ServiceAccount", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jane"}})
        jane = Api.connect(str(kubeconfig_of("jane", api, tmp_path)))
        assert {each.check: each for each in kube_checks(jane)}["your rights"].state == "missing"
        done = surreal("cluster", "install", "-n", api.namespace, "--context", CONTEXT, "--values", file)
        assert done.returncode == 0, done.stderr
        found = {each.check: each for each in kube_checks(jane)}
        assert found["your rights"].state == "ok", found["your rights"]
        assert found["nodes"].state == "unknown"


def test_the_server_takes_every_object_of_its_own_kinds(tmp_path: Path) -> None:
    """In a namespace that enforces restricted; objects of kinds that others bring are checked where these are."""
    with namespace() as api:
        file = tmp_path / "values.json"
        ours = {key: value for key, value in helm.EVERYTHING.items() if key not in ("namespace", "kueue", "podMonitor")}
        file.write_text(json.dumps(ours))
        where = ["--kube-context", CONTEXT, "-n", api.namespace]
        install = [str(helm.HELM), "install", helm.RELEASE, str(helm.CHART), *where, "--values", str(file)]
        commands.run([*install, "--dry-run=server"])
        commands.run(install)
        made = commands.run([str(helm.HELM), "get", "manifest", helm.RELEASE, *where])
        assert made.count("\nkind: ") == 9
        commands.run([str(helm.HELM), "uninstall", helm.RELEASE, *where, "--wait"])
        assert not [each for each in api.list("ConfigMap") if each["metadata"]["name"].startswith("surreal-")]
