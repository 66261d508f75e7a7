"""The chart as Helm renders it: by Helm where it is at hand, else by a Go template engine in Python."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from gotpl.exts.helm import HelmTemplateEngine

from surreal.provisioner.helm import chart_folder

CHART = chart_folder()
RELEASE, NAMESPACE = "surreal", "rl"
HELM = shutil.which("helm")

EVERYTHING: dict[str, Any] = {
    "namespace": {"create": True, "name": "experiments"},
    "rbac": {
        "users": ["jane@example.org"],
        "groups": ["researchers"],
        "serviceAccounts": [{"name": "ci", "namespace": "builds"}],
    },
    "quota": {"requests.cpu": "64", "requests.memory": "256Gi", "pods": 200},
    "limits": {"default": {"cpu": "1", "memory": "1Gi"}, "max": {"memory": "64Gi"}},
    "kueue": {
        "localQueue": "research",
        "clusterQueue": {
            "create": True,
            "flavors": [
                {"name": "cpus", "quota": {"cpu": "64", "memory": "256Gi"}},
                {"name": "spot", "nodeLabels": {"cloud": "spot"}, "quota": {"cpu": "640", "memory": "2Ti"}},
            ],
        },
    },
    "tensorboard": {
        "claims": ["cheetah-ppo", "hopper"],
        "image": {"repository": "example.org/surreal", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": ["pull"],
        "allowFrom": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
    },
    "operator": {
        "enabled": True,
        "crds": {"create": True},
        "nodes": {"create": True},
        "image": {"repository": "example.org/surreal", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": ["pull"],
        "allowFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    },
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"annotations": {"grafana_folder": "surreal"}},
}
"""Values that make everything the chart can make."""


class Refused(Exception):
    """What Helm would not render."""


def values(**changed: Any) -> dict[str, Any]:
    """The chart's values with some changed, merged as Helm does."""
    return _merged(_yaml(CHART / "values.yaml"), changed)


def render(
    apis: Iterable[str] = (), there: Mapping[str, dict[str, Any]] | None = None, **changed: Any
) -> list[dict[str, Any]]:
    """The objects that the chart makes of these values where the cluster has `apis` besides Kubernetes' own.

    `there` are the objects that are in the cluster by their names.

    Raises Refused as Helm does.
    """
    names = sorted(path.name for path in (CHART / "templates").glob("*.yaml"))
    return objects(_rendered(names, changed, apis, there))


def objects(sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """The objects in rendered templates."""
    return [each for text in sources.values() for each in yaml.safe_load_all(text) if each]


def notes(there: Mapping[str, dict[str, Any]] | None = None, **changed: Any) -> str:
    """What `helm install` says at its end."""
    return _rendered(["NOTES.txt"], changed, (), there)["NOTES.txt"]


def by_helm(folder: Path, **changed: Any) -> list[dict[str, Any]]:
    """The same by the real Helm. Raises Refused with its words."""
    file = folder / "values.json"
    file.write_text(json.dumps(changed))
    command = [str(HELM), "template", RELEASE, str(CHART), "-n", NAMESPACE, "--values", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return objects({"all": done.stdout})


def _rendered(
    names: Iterable[str],
    changed: Mapping[str, Any],
    apis: Iterable[str] = (),
    there: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, str]:
    given = values(**changed)
    try:
        jsonschema.validate(given, json.loads((CHART / "values.schema.json").read_text()))
    except jsonschema.ValidationError as error:
        raise Refused(f"{'.'.join(map(str, error.absolute_path))}: {error.message}") from None
    files = ["_helpers.tpl", *names]
    sources = {name: (CHART / "templates" / name).read_text() for name in files}
    engine = HelmTemplateEngine.from_sources(sources, lookup=lambda *asked: (there or {}).get(asked[-1], {}))
    chart = {key[0].upper() + key[1:]: value for key, value in _yaml(CHART / "Chart.yaml").items()}
    release = {"Name": RELEASE, "Namespace": NAMESPACE, "Service": "Helm"}
    capabilities = {"APIVersions": _Apis(apis)}
    context = {"Values": given, "Chart": chart, "Release": release, "Files": _Files(), "Capabilities": capabilities}
    try:
        return engine.render(dict.fromkeys(names, context))
    except Exception as error:  # the engine has no common one
        raise Refused(str(error)) from None


class _Apis(frozenset[str]):
    """`.Capabilities.APIVersions` of a template."""

    def Has(self, version: str) -> bool:
        return version in self


class _Files:
    """`.Files` of a template."""

    def Get(self, name: str) -> str:
        return (CHART / name).read_text()


def _yaml(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `under`, mapping by mapping."""
    both = {
        key: _merged(under[key], value) if isinstance(value, dict) and isinstance(under.get(key), dict) else value
        for key, value in over.items()
    }
    return {**under, **both}
