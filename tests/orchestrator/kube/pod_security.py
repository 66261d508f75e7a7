"""The Pod Security Standard "restricted" as of Kubernetes 1.34, and what surreal promises beyond it."""

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "downwardAPI",
    "emptyDir",
    "projected",
    "secret",
    "csi",
    "persistentVolumeClaim",
    "ephemeral",
    "image",
}
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


def restricted(pod: Any) -> list[str]:
    """What of a pod's spec the standard forbids."""
    found = [f"{key} is shared" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    security = pod.get("securityContext") or {}
    found += [f"sysctl {each['name']}" for each in security.get("sysctls", ()) if each["name"] not in SAFE_SYSCTLS]
    found += [
        f"volume {volume['name']} is a {', '.join(set(volume) - {'name'} - VOLUMES)}"
        for volume in pod.get("volumes", ())
        if set(volume) - {"name"} - VOLUMES
    ]
    found += _identity(security, "pod")
    for key in CONTAINERS:
        for container in pod.get(key, ()):
            found += [f"{container['name']}: {text}" for text in _container(container, security)]
    return found


def _container(container: Any, pod: Any) -> Iterator[str]:
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    if (own.get("runAsNonRoot") if "runAsNonRoot" in own else pod.get("runAsNonRoot")) is not True:
        yield "may run as root"
    if (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield "has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if "ALL" not in capabilities.get("drop", ()):
        yield "keeps capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    if own.get("privileged"):
        yield "is privileged"
    if own.get("procMount") not in (None, "Default"):
        yield "sees all of /proc"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "takes a port of its node"
    yield from _identity(own, "itself")
    yield from _hosts(container)


def _identity(security: Any, whose: str) -> Iterator[str]:
    selinux, apparmor = security.get("seLinuxOptions") or {}, security.get("appArmorProfile") or {}
    if security.get("runAsUser") == 0:
        yield f"{whose}: is root"
    if selinux.get("type") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{whose}: SELinux"
    if apparmor.get("type") not in (None, "RuntimeDefault", "Localhost"):
        yield f"{whose}: AppArmor"
    if (security.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{whose}: a host process"
    if (security.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield f"{whose}: seccomp off"


def _hosts(container: Any) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(key) for key in HANDLERS] + [lifecycle.get("postStart"), lifecycle.get("preStop")]
    for handler in filter(None, handlers):
        if any((handler.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield "asks another host"


def beyond(pod: Any) -> list[str]:
    """What of a pod's spec breaks a promise that the standard does not ask for."""
    found = []
    if pod.get("automountServiceAccountToken") is not False:
        found.append("may carry a token")
    if pod.get("enableServiceLinks") is not False:
        found.append("knows all Services")
    if pod.get("terminationGracePeriodSeconds", 30) < 15:
        found.append("has too little time to end")
    if (pod.get("securityContext") or {}).get("runAsUser", 0) < 10_000:
        found.append("has a user that a node may have too")
    for container in (container for key in CONTAINERS for container in pod.get(key, ())):
        found += [f"{container['name']}: {text}" for text in _promises(container)]
    found += [
        f"{volume['name']}: has no limit"
        for volume in pod["volumes"]
        if not volume.get("emptyDir", {}).get("sizeLimit", 1)
        or ("emptyDir" in volume and "sizeLimit" not in volume["emptyDir"])
    ]
    return found


def _promises(container: Any) -> Iterator[str]:
    if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
        yield "may write its image"
    for kind in ("requests", "limits"):
        missing = {"cpu", "memory", "ephemeral-storage"} - set(container["resources"][kind])
        if missing:
            yield f"{kind} no {', '.join(missing)}"
    if container["command"][:3] != ["python3", "-P", "-m"]:
        yield "runs something else"
