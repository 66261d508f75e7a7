"""Users of a real cluster with the rights of one role in one namespace: ServiceAccounts, with a kubeconfig each."""

import json
from pathlib import Path
from typing import Any

from surreal.provisioner.kube.client import Api

EDITOR = "editor"
RBAC = "rbac.authorization.k8s.io"


def account(api: Api, name: str, role: dict[str, str], folder: Path) -> Path:
    """Make a ServiceAccount bound to a role (`kind` and `name`); return a kubeconfig with the context `name`."""
    here = f"namespaces/{api.namespace}"
    api.post("ServiceAccount", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": api.namespace}
    binding = {"metadata": {"name": name}, "roleRef": {"apiGroup": RBAC, **role}, "subjects": [subject]}
    api._json("POST", f"/apis/{RBAC}/v1/{here}/rolebindings", {}, binding)
    token = api._json("POST", f"/api/v1/{here}/serviceaccounts/{name}/token", {}, {"spec": {}})["status"]["token"]
    path = folder / f"{name}-kubeconfig"
    path.write_text(json.dumps(_kubeconfig(api, name, token)))
    return path


def editor(api: Api, folder: Path) -> Path:
    """Make a user who has ClusterRole `edit` in the namespace, and nothing else."""
    return account(api, EDITOR, {"kind": "ClusterRole", "name": "edit"}, folder)


def _kubeconfig(api: Api, name: str, token: str) -> dict[str, Any]:
    settings = api.client.configuration
    cluster = {"server": settings.host, "insecure-skip-tls-verify": not settings.verify_ssl}
    if settings.ssl_ca_cert:
        cluster["certificate-authority"] = settings.ssl_ca_cert
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u", "namespace": api.namespace}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "current-context": name,
    }
