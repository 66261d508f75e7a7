"""Access to a cluster as the kubeconfig, or a pod's own service account, describes it."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.provisioner.kube.identity import check_plugin, headers

DEFAULT_NAMESPACE = "default"
IN_CLUSTER = "in-cluster"
"""The context's name where a pod's own service account is used."""
CONNECTIONS = 100
"""Kept open to one server: the logs of many pods are followed at once."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """A client of one cluster, and what its context is called."""

    client: Any
    """kubernetes.client.ApiClient"""
    context: str
    namespace: str
    user: Mapping[str, Any] = field(default_factory=dict)
    """The kubeconfig's user; empty for a pod's service account."""

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that tell the server who asks."""
        return headers(self.client.configuration, self.user)


def kubeconfig_files(given: str | None) -> str | None:
    """Return the files that `access` would read, absolute and as one list; None for the default ones."""
    paths = given or os.environ.get("KUBECONFIG")
    if not paths:
        return None
    return os.pathsep.join(str(Path(each).expanduser().absolute()) for each in paths.split(os.pathsep) if each)


def access(kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None) -> Access:
    """Return the client for a kubeconfig (None: KUBECONFIG or ~/.kube/config) and a context (None: the current one).

    The namespace is the one given, else the context's, else `default`. Without any kubeconfig a pod uses its service
    account. Raises InvalidInput that names what is missing.
    """
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [path for path in paths.split(os.pathsep) if path and Path(path).expanduser().is_file()]
    there = bool(files)
    # kubectl passes over empty files of a list; the client refuses them
    paths = os.pathsep.join([path for path in files if Path(path).expanduser().stat().st_size] or files) or paths
    if not there and not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _in_cluster(namespace)
    if not there:
        raise InvalidInput(
            f"no kubeconfig at {paths}, so no cluster is known. Make one (`surreal cluster up FILE`), or name the file "
            "with --kubeconfig or KUBECONFIG."
        )
    return _from_file(paths, context, namespace)


def _from_file(paths: str, context: str | None, namespace: str | None) -> Access:
    import urllib3
    from kubernetes import client, config
    from yaml import YAMLError

    what = f"context {context!r}" if context else "the current context"
    try:
        chosen = _context(paths, context)
        user = _user(paths, chosen)
        check_plugin(user, paths)
        settings = client.Configuration()
        settings.connection_pool_maxsize = CONNECTIONS
        with _heard() as complaints:
            made = config.new_client_from_config(
                config_file=paths, context=chosen["name"], persist_config=False, client_configuration=settings
            )
        if complaints:
            raise ValueError("; ".join(complaints))
    # the client reads what it finds without checks, so that a strange file may raise anything of these
    except (config.ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(
            f"kubeconfig: cannot use {what} of {paths}: {error}. See `kubectl config get-contexts`."
        ) from None
    if not settings.verify_ssl:
        # the file says so, and kubectl does not complain at every request either
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return Access(made, chosen["name"], namespace or chosen["context"].get("namespace") or DEFAULT_NAMESPACE, user)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what the client only logs: a failed credentials plugin, after which it would ask anonymously."""
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(handler)


def _context(paths: str, name: str | None) -> dict[str, Any]:
    """Return the context of that name, or the current one, as the file says it."""
    from kubernetes.config.kube_config import KubeConfigMerger

    merged = KubeConfigMerger(paths).config.value
    contexts: dict[str, dict[str, Any]] = {each["name"]: each.value for each in merged["contexts"]}
    wanted = name or merged.get("current-context")
    if not wanted:
        raise InvalidInput(f"{paths}: has no current context. Choose one with --context; {_listed(contexts)}.")
    if wanted not in contexts:
        near = did_you_mean(wanted, contexts)
        raise InvalidInput(f"no context {wanted!r} in {paths}{near}. Choose another one; {_listed(contexts)}.")
    return contexts[wanted]


def _user(paths: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the user of a context, as the file says it; empty if it names none."""
    from kubernetes.config.kube_config import KubeConfigMerger

    name = context["context"].get("user")
    users = KubeConfigMerger(paths).config.value.get("users") or ()
    found = next((each.value["user"] for each in users if each["name"] == name), None)
    return found if isinstance(found, dict) else {}


def _listed(contexts: dict[str, dict[str, Any]]) -> str:
    return f"there is: {', '.join(contexts) or 'none'}"


def _in_cluster(namespace: str | None) -> Access:
    from kubernetes import client, config

    settings = client.Configuration()
    settings.connection_pool_maxsize = CONNECTIONS
    try:
        config.load_incluster_config(client_configuration=settings)
        own = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (config.ConfigException, OSError) as error:
        raise InvalidInput(
            f"no kubeconfig, and this pod has no service account to use: {error}. Give it one, or a kubeconfig."
        ) from None
    return Access(client.ApiClient(configuration=settings), IN_CLUSTER, namespace or own)
