"""Facts that clouds write into the names of their machine types: architecture, accelerators, custom sizes."""

import re
from dataclasses import dataclass

_ARM = {
    "gke": r"(t2a|c4a|n4a|a4x)-",
    # a `g` after the generation is a Graviton processor: m7g, c7gn; g5 is none, g5g is
    "eks": r"([a-z]+[0-9]+[a-z]*g|a1\.)",
}
"""Provider -> how the names of its Arm machines begin."""
_ACCELERATED = {"gke": r"(a[2-4]x?|g[24]|ct[0-9]|tpu)", "eks": r"(p[0-9]|g[0-9]|gr[0-9]|trn|inf|dl|f[0-9]|vt)"}
"""Provider -> how the names of its machines with accelerators begin."""
_UNUSABLE = {
    "gke": {r"(ct[0-9]|tpu)": "is a TPU host"},
    "eks": {r"(trn|inf)[0-9]": "has Neuron accelerators", r"dl[0-9]": "has Gaudi accelerators"},
}
"""Provider -> beginning of a name -> accelerators that PyTorch in surreal's image cannot use."""
_CUSTOM = {"gke": r"(?:(e2|n1|n2|n2d|n4|n4d|c4a|g2)-)?custom-([0-9]{1,3})-([0-9]{3,7})(?:-ext)?"}
"""Provider -> the names of its machines of a custom size: family, cores, MiB."""
MIB = 1 << 20


@dataclass(frozen=True)
class CustomSize:
    """A custom machine type of Compute Engine: `n2-custom-8-16384`."""

    family: str
    cpu: int
    memory: int
    """Bytes."""


def architecture(provider: str, name: str) -> str | None:
    """Return `arm64` or `amd64` by the name of a cloud's machine type; None elsewhere."""
    pattern = _ARM.get(provider)
    return None if pattern is None else "arm64" if re.match(pattern, name) else "amd64"


def accelerated(provider: str, name: str) -> bool:
    """Return True for a machine type that has accelerators by its name."""
    pattern = _ACCELERATED.get(provider)
    return pattern is not None and re.match(pattern, name) is not None


def unusable(provider: str, name: str) -> str | None:
    """Return why no role can use a machine type: `is a TPU host`; None for a usable one."""
    patterns = _UNUSABLE.get(provider, {})
    return next((reason for pattern, reason in patterns.items() if re.match(pattern, name)), None)


def custom_size(provider: str, name: str) -> CustomSize | None:
    """Return the size that a custom machine type of Compute Engine says; None for another name."""
    match = re.fullmatch(_CUSTOM[provider], name) if provider in _CUSTOM else None
    return CustomSize(match[1] or "n1", int(match[2]), int(match[3]) * MIB) if match else None


def alike(provider: str, name: str, others: list[str]) -> list[str]:
    """Return the names of machines with the same architecture that have accelerators if `name` has."""
    kind = architecture(provider, name), accelerated(provider, name)
    return [other for other in others if (architecture(provider, other), accelerated(provider, other)) == kind]
