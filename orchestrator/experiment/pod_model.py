"""Pod part of an experiment: image, code, storage, volumes. Local runs ignore it."""

import re
from importlib.metadata import version
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from surreal.protocol.documents.models import Cidr, Spec
from surreal.protocol.documents.quantity import Memory

DAY = 86_400
"""Seconds."""
OUR_FOLDERS = ("/surreal", "/etc/surreal", "/tmp", "/dev", "/proc", "/sys")
"""Folders that surreal or the system mounts in every pod."""


_OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_IMAGE = r"^[A-Za-z0-9][-A-Za-z0-9._/:@+]{0,500}$"
_PATH = r"^/[-A-Za-z0-9._/]{0,250}$"
_URL = r"^[a-z][a-z0-9+.-]*://[^\s?#]{1,1000}$"
"""Patterns that editors and API servers are told; the validators below say more kindly what is wrong."""


def _object_name(text: str) -> str:
    if len(text) <= 253 and re.fullmatch(_OBJECT_NAME, text):
        return text
    raise ValueError(f"must be a name of Kubernetes (lower-case letters, digits, '-' and '.'), not {text!r}")


def check_image(text: str) -> str:
    """Return the name of an image unchanged. Raises ValueError for a text that cannot be one."""
    if re.fullmatch(_IMAGE, text):
        return text
    raise ValueError(f"must be an image such as registry.example/team/surreal:1.0, not {text!r}")


def _mount_path(text: str) -> str:
    parts = text.rstrip("/").split("/")[1:]
    if not re.fullmatch(_PATH, text) or not parts or {"", ".", ".."} & set(parts):
        raise ValueError(f"must be an absolute path such as /data, not {text!r}")
    for ours in OUR_FOLDERS:
        if f"{text.rstrip('/')}/".startswith(f"{ours}/"):
            raise ValueError(f"must not lie in {ours}, which every pod has for itself; for example /data")
    return text.rstrip("/")


def _store_url(text: str) -> str:
    if re.fullmatch(_URL, text) and "@" not in text.partition("://")[2].split("/")[0]:
        return text
    raise ValueError(
        f"must be a folder of an object store such as s3://bucket/folder, without credentials, not {text!r}"
    )


ObjectName = Annotated[
    str, AfterValidator(_object_name), Field(json_schema_extra={"pattern": _OBJECT_NAME, "maxLength": 253})
]
Image = Annotated[str, AfterValidator(check_image), Field(json_schema_extra={"pattern": _IMAGE})]
PullPolicy = Literal["IfNotPresent", "Always", "Never"]
Spread = Literal["none", "zone", "node"]
Port = Annotated[int, Field(ge=1, le=65535)]


class VolumeSpec(Spec):
    """Files that are in the cluster already, for the processes of a role."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$")]
    """Name of the volume, each of its own."""
    mount_path: Annotated[str, AfterValidator(_mount_path), Field(json_schema_extra={"pattern": _PATH})]
    """Folder where the processes see it."""
    claim: ObjectName | None = None
    """A PersistentVolumeClaim."""
    config_map: ObjectName | None = None
    """A ConfigMap, each key a file."""
    secret: ObjectName | None = None
    """A Secret, each key a file."""
    read_only: bool = True
    """false lets the processes write to a claim."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [each for each in (self.claim, self.config_map, self.secret) if each]
        if len(given) != 1:
            raise ValueError(f"must name one of claim, configMap and secret, not {len(given)} of them")
        return self


def _distinct(volumes: tuple[VolumeSpec, ...]) -> tuple[VolumeSpec, ...]:
    for key, found in (("name", [each.name for each in volumes]), ("mountPath", [each.mount_path for each in volumes])):
        twice = next((value for value in found if found.count(value) > 1), None)
        if twice:
            raise ValueError(f"the {key} {twice} is there twice; every volume needs one of its own")
    return volumes


Volumes = Annotated[tuple[VolumeSpec, ...], Field(max_length=20, strict=False), AfterValidator(_distinct)]


class StorageSpec(Spec):
    """Place of the run folder: metrics, logs and checkpoints."""

    kind: Literal["auto", "claim", "emptyDir", "url"] = "auto"
    """auto: a claim where the cluster has a default StorageClass, else emptyDir, which goes with the learner's pod."""
    size: Memory = 10 * 2**30
    """Room of the claim: 10Gi or a number of bytes."""
    class_name: ObjectName | None = None
    """StorageClass of the claim; the cluster's default if null."""
    url: Annotated[str, AfterValidator(_store_url), Field(json_schema_extra={"pattern": _URL})] | None = None
    """A folder of an object store, such as s3://bucket/folder, that the run folder is copied to as it grows."""
    service_account_name: ObjectName | None = None
    """An account of the namespace that may write there, for clouds that know pods by theirs."""

    @model_validator(mode="after")
    def _url_fits(self) -> Self:
        if (self.kind == "url") != (self.url is not None):
            raise ValueError("kind: url and a url go together; write both or none of them")
        if self.class_name and self.kind not in ("auto", "claim"):
            raise ValueError(f"className is a claim's, and this is kind: {self.kind}")
        if self.service_account_name and self.kind != "url":
            raise ValueError(f"serviceAccountName is for a url, and this is kind: {self.kind}")
        return self


OUR_LABELS = ("surreal.dev/", "app.kubernetes.io/", "batch.kubernetes.io/", "kubernetes.io/", "kueue.x-k8s.io/")
"""Prefixes of labels and annotations by which surreal, Kubernetes and Kueue find pods."""
SECURITY = Literal["fixed", "namespace"]


def _labels(given: dict[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if not re.fullmatch(r"([a-z0-9][-a-z0-9.]{0,251}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", key):
            raise ValueError(f"{key!r} cannot be a key of Kubernetes; write for example team or example.com/team")
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
            raise ValueError(f"{value!r} cannot be the value of label {key}: up to 63 letters, digits, '-', '_', '.'")
    return _annotations(given)


def _annotations(given: dict[str, str]) -> dict[str, str]:
    if ours := sorted(key for key in given if key.startswith(OUR_LABELS)):
        raise ValueError(f"{ours[0]} is set by the system; leave it out")
    return given


class PodsSpec(Spec):
    """Settings that a cluster's people want on all pods of a run."""

    labels: Annotated[dict[str, str], Field(max_length=50), AfterValidator(_labels)] = {}
    """Labels of the pods, besides those by which surreal finds them."""
    annotations: Annotated[dict[str, str], Field(max_length=50), AfterValidator(_annotations)] = {}
    """Annotations of the pods, such as those that a service mesh or a cost report reads."""
    runtime_class_name: ObjectName | None = None
    """A RuntimeClass of the cluster, such as gvisor; the default one if null."""
    scheduler_name: ObjectName | None = None
    """Scheduler that places the pods; the cluster's default if null."""
    security_context: SECURITY = "fixed"
    """fixed: user 10001. namespace: no user is named, and the namespace gives one, as OpenShift does."""
    kueue_priority_class: ObjectName | None = None
    """WorkloadPriorityClass of a run with a queue."""


class EgressSpec(Spec):
    """Network that the pods may connect to, besides each other and the DNS."""

    cidr: Cidr
    """Addresses of the network."""
    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=50, strict=False)] = (443,)
    """TCP ports there."""


def default_image(cuda: bool = False) -> str:
    """Return the image of this version of surreal, as `surreal image build` names it; the one with CUDA if asked."""
    return f"surreal:{version('surreal')}{'-cuda' if cuda else ''}"
