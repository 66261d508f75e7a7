"""Field types of the Cluster document: names, versions, networks and buckets that clouds accept."""

import re
from typing import Annotated

from pydantic import AfterValidator

from surreal.protocol.documents.models import check_cidr, dns_label


def _cloud_name(name: str) -> str:
    dns_label(name)
    if name[0].isdigit():
        raise ValueError(f"must begin with a letter, not {name!r}; for example 'n{name}'")
    return name


def _label_key(key: str) -> str:
    part = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
    domain = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
    if not re.fullmatch(rf"({domain}/)?{part}", key):
        raise ValueError(f"{key!r} is no label key; write name or domain.example/name, with letters, digits, '-_.'")
    prefix = key.rpartition("/")[0]
    if re.search(r"(^|\.)(kubernetes\.io|k8s\.io|surreal\.dev)$", prefix):
        raise ValueError(f"{key!r} belongs to Kubernetes or to surreal; take another prefix")
    return key


def _version(text: str) -> str:
    if not re.fullmatch(r"1\.[0-9]{2}", text):
        raise ValueError(f"must be a minor version such as '1.33', not {text!r}")
    return text


def _node_network(text: str) -> str:
    """Return a network that leaves room for sixteen subnets of nodes."""
    text = check_cidr(text)
    prefix = int(text.rpartition("/")[2])
    if ":" in text or not 8 <= prefix <= 20:
        raise ValueError(f"must be an IPv4 network of /8 to /20 such as 10.64.0.0/16, not {text!r}")
    return text


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]", text) or ".." in text:
        raise ValueError(f"must be 3 to 63 lower-case letters, digits, '-' and '.', not {text!r}")
    return text


def _folder(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_/.]{0,200}", text):
        raise ValueError(f"must be letters, digits and '-_/.', not {text!r}")
    return text


def _word(text: str) -> str:
    # what goes into a cloud's names: region, zone, machine, accelerator, project
    if not re.fullmatch(r"[a-z0-9][-a-z0-9.:]{0,62}", text):
        raise ValueError(f"must be lower-case letters, digits, '-' and '.', not {text!r}")
    return text


CloudName = Annotated[str, AfterValidator(_cloud_name)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
Word = Annotated[str, AfterValidator(_word)]
Bucket = Annotated[str, AfterValidator(_bucket)]
NodeNetwork = Annotated[str, AfterValidator(_node_network)]
Version = Annotated[str, AfterValidator(_version)]
Folder = Annotated[str, AfterValidator(_folder)]
DnsName = Annotated[str, AfterValidator(dns_label)]
