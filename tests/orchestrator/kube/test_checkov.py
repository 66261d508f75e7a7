"""checkov finds nothing in what is rendered, but for an image that the experiment itself names loosely."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.plan.model import Plan
from tests.orchestrator.kube.rendered import DIGEST, everything, example, jobs, objects, queued

CHECKOV = shutil.which("checkov")
"""It wants other versions of what surreal needs, and so an environment of its own."""
BY_DIGEST, PULLED_ALWAYS = "CKV_K8S_43", "CKV_K8S_15"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOV, reason="checkov is not on PATH"),
]


def failed(plan: Plan, folder: Path) -> set[str]:
    """The checks that fail for the objects of a plan, the Jobs of a JobSet among them."""
    found: list[Any] = objects(plan)
    for role, job in jobs(found).items() if plan.queue else ():
        metadata = {"name": f"{plan.name}-{role}", "namespace": "rl", "labels": job["template"]["metadata"]["labels"]}
        found.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job})
    for number, each in enumerate(found):
        (folder / f"{number}.json").write_text(json.dumps(each))
    command = [str(CHECKOV), "-d", str(folder), "--framework", "kubernetes", "--skip-download", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    result = json.loads(done.stdout)
    assert result["summary"]["passed"] > 100 and result["summary"]["parsing_errors"] == 0
    return {each["check_id"] for each in result["results"]["failed_checks"]}


@pytest.mark.parametrize("plan", [example, everything, queued])
def test_nothing_fails_with_an_image_by_its_digest(plan: Any, tmp_path: Path) -> None:
    found: Plan = plan()
    pinned = {"image": DIGEST, "image_pull_policy": "Always"}
    roles = tuple(role.model_copy(update=pinned) for role in found.roles)
    assert failed(found.model_copy(update={"roles": roles}), tmp_path) == set()


def test_the_image_of_ones_own_machine_is_all_it_finds_otherwise(tmp_path: Path) -> None:
    """docs/kubernetes.md says why that is the default: minikube has images that no registry has."""
    assert failed(example(), tmp_path) == {BY_DIGEST, PULLED_ALWAYS}
