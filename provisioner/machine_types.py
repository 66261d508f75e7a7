"""Machine types: what they have, and what they cost where that is known. A table with sources and dates, and one's own.

A price that no source gives is unknown (None), never 0: adding it up gives an unknown sum.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Problem, Source
from surreal.protocol.documents.models import API_VERSION, Spec, validated
from surreal.protocol.documents.quantity import Cpu, Memory
from surreal.protocol.documents.yaml import load_file
from surreal.protocol.errors import did_you_mean
from surreal.provisioner.machine_names import alike, architecture, custom_size

CUSTOM_SOURCE = "gce-types"
PROVIDERS = ("gke", "eks", "aks", "existing")
"""Providers with machine types."""

Price = Annotated[float, Field(gt=0, lt=10_000)]
"""US dollars an hour."""


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"must be a day such as 2026-07-20, not {text!r}") from None


def _provider(name: str) -> str:
    if name in PROVIDERS:
        return name
    raise ValueError(f"unknown provider {name!r}{did_you_mean(name, PROVIDERS)}; known: {', '.join(PROVIDERS)}")


class SourceSpec(Spec):
    """Source of figures."""

    date: Annotated[str, AfterValidator(_day)]
    """The day of the figures; the day they were read where `figures` says so."""
    figures: Literal["dated", "of unknown age"] = "dated"
    """`dated` if the source names the day of its figures."""
    region: str
    """Region of the prices; they differ elsewhere."""
    what: str


class MachineEntry(Spec):
    """One machine type."""

    cpu: Cpu
    memory: Memory
    pods: Annotated[int, Field(ge=1, le=1000)] | None = None
    """The most pods of a node, where the type decides that."""
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    gpu: str | None = None
    """The built-in GPUs' type."""
    price: Price | None = None
    spot: Price | None = None
    source: str


class AcceleratorEntry(Spec):
    """GPUs that can be added to machines of one family; prices for one."""

    machines: str
    """The family, as the machines' names begin."""
    provider: Annotated[str, AfterValidator(_provider)] = "gke"
    price: Price | None = None
    spot: Price | None = None
    source: str


class OfferEntry(Spec):
    """Regions of a family; a family without an entry may be anywhere."""

    regions: tuple[str, ...] = Field(strict=False)
    source: str


class CustomEntry(Spec):
    """Prices of custom machine types of one family."""

    core: Price
    """Price of one core."""
    gib: Price
    """Price of one GiB of memory."""
    spot: Annotated[float, Field(gt=0, lt=1)]
    """Part of the price that a spot machine costs."""
    source: str


class MachinesFile(Spec):
    """The document of `data/machines.yaml` and of `prices.yaml`."""

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    kind: Literal["Machines"] = "Machines"
    sources: dict[str, SourceSpec] = {}
    accelerators: dict[str, AcceleratorEntry] = {}
    offered: dict[str, OfferEntry] = {}
    custom: dict[str, CustomEntry] = {}
    machines: dict[Annotated[str, AfterValidator(_provider)], dict[str, MachineEntry]] = {}


@dataclass(frozen=True)
class Machine:
    """One machine type with the GPUs that it has or gets."""

    name: str
    cpu: float
    memory: int
    pods: int | None = None
    gpus: int = 0
    gpu_type: str | None = None
    price: float | None = None
    """US dollars an hour on demand; None where no source says."""
    spot_price: float | None = None
    source: str = ""
    arch: str | None = None
    """`amd64` or `arm64`; None where the provider's names do not say it."""


@dataclass(frozen=True)
class MachineTable:
    """Every machine type that is known."""

    document: MachinesFile
    own: Source | None = field(default=None, compare=False)
    """The file of one's own prices, if there is one."""

    def find(self, provider: str, name: str) -> Machine | None:
        """Return a machine as it comes; None for one that the table does not list."""
        entry = self.document.machines.get(provider, {}).get(name)
        if entry is None:
            return self._custom(provider, name)
        return Machine(
            name,
            entry.cpu,
            entry.memory,
            entry.pods,
            entry.gpus,
            entry.gpu,
            entry.price,
            entry.spot,
            entry.source,
            architecture(provider, name),
        )

    def known(self, provider: str) -> list[str]:
        """Return the names of a provider's machines."""
        return list(self.document.machines.get(provider, {}))

    def nearest(self, provider: str, name: str) -> str:
        """Return ` (did you mean ...?)`, or nothing."""
        return did_you_mean(name, alike(provider, name, self.known(provider)))

    def _custom(self, provider: str, name: str) -> Machine | None:
        """Return a machine whose name says its size, priced by core and GiB where the family's prices are known."""
        size = custom_size(provider, name)
        if size is None:
            return None
        each = self.document.custom.get(size.family)
        arch = architecture(provider, name)
        if each is None:
            return Machine(name, size.cpu, size.memory, source=CUSTOM_SOURCE, arch=arch)
        price = round(each.core * size.cpu + each.gib * size.memory / 2**30, 6)
        spot = round(price * each.spot, 6)
        return Machine(name, size.cpu, size.memory, price=price, spot_price=spot, source=each.source, arch=arch)

    def with_gpus(self, provider: str, machine: Machine, gpu_type: str, count: int) -> Machine:
        """Return `machine` with `count` GPUs in all; as it is if it has exactly those.

        Raises ValueError with a sentence for a machine that has none or others, and takes none.
        """
        # AWS calls an l4 what Google calls an nvidia-l4; Terraform for GKE needs Google's word
        if machine.gpus == count and machine.gpu_type in (gpu_type, gpu_type.removeprefix("nvidia-")):
            return machine
        entry = self.document.accelerators.get(gpu_type)
        if machine.gpus or entry is None or not machine.name.startswith(f"{entry.machines}-"):
            raise ValueError(self._no_such_gpus(provider, machine, gpu_type, count))
        price, spot = _sum(machine.price, entry.price, count), _sum(machine.spot_price, entry.spot, count)
        return replace(machine, gpus=count, gpu_type=gpu_type, price=price, spot_price=spot)

    def _no_such_gpus(self, provider: str, machine: Machine, gpu_type: str, count: int) -> str:
        has = f"{machine.gpus} x {machine.gpu_type}" if machine.gpus else "none and takes none"
        entries = self.document.machines[provider]
        owners = [f"{name} has {entry.gpus}" for name, entry in entries.items() if entry.gpu == gpu_type]
        takers = {name: entry for name, entry in self.document.accelerators.items() if entry.provider == provider}
        if gpu_type in takers:
            owners.append(f"any {takers[gpu_type].machines} machine takes them")
        types = sorted({*takers, *(entry.gpu for entry in entries.values() if entry.gpu)})
        near = "" if gpu_type in types else did_you_mean(gpu_type, types)
        choice = f"of {gpu_type}, {', '.join(owners[:4])}" if owners else f"types on {provider}: {', '.join(types)}"
        return f"{machine.name} cannot have {count} x {gpu_type}{near}: it has {has}; {choice}"

    def priced(self, machine: Machine) -> str:
        """Return the source of the machine's price: `gce-list of 2026-06-23 for us-central1`."""
        source = self.document.sources[machine.source]
        age = "" if source.figures == "dated" else ", figures of unknown age"
        return f"{machine.source} of {source.date} for {source.region}{age}"

    def region_of(self, machine: Machine) -> str:
        """Return the region in which the machine's price holds."""
        return self.document.sources[machine.source].region

    def not_offered(self, name: str, region: str) -> str | None:
        """Return a warning where the table says that machines like this are not in `region`."""
        for family, offer in self.document.offered.items():
            if name.startswith(f"{family}-") and region not in offer.regions:
                day = self.document.sources[offer.source].date
                return f"{name} was not offered in {region} on {day}, but in {', '.join(offer.regions)}"
        return None


def _sum(machine: float | None, each: float | None, count: int) -> float | None:
    return None if machine is None or each is None else machine + count * each


def machine_table(prices: Path | None = None) -> MachineTable:
    """Return the built-in table with the entries of the file `prices` over it. Raises InvalidInput at its lines."""
    if prices is None:
        return _built_in()
    data, source = load_file(prices)
    merged = _merge(_built_in_data(), data)
    document, problems = validated(MachinesFile, merged)
    problems += _dangling(merged)
    if problems or document is None:
        raise source.invalid(problems)
    return MachineTable(document, source)


@cache
def _built_in_data() -> dict[str, Any]:
    text = files("surreal.provisioner").joinpath("data/machines.yaml").read_text()
    data, _ = strictyaml.load(text, Source("machines.yaml"))
    assert isinstance(data, dict)
    return data


@cache
def _built_in() -> MachineTable:
    return MachineTable(MachinesFile.model_validate(_built_in_data()))


def _merge(base: dict[str, Any], own: Any) -> Any:
    """Return `own` over `base`, entry by entry: the rest of an entry stays, but no old price and no old source."""
    if not isinstance(own, dict):
        return own
    merged = {**base, **own}
    for part in ("sources", "accelerators", "offered", "custom"):
        merged[part] = _over(base[part], own.get(part, {}))
    given = own.get("machines", {})
    if not isinstance(given, dict):
        return merged
    machines = {provider: _over(base["machines"].get(provider, {}), entries) for provider, entries in given.items()}
    return {**merged, "machines": {**base["machines"], **machines}}


def _over(base: dict[str, Any], own: Any) -> Any:
    if not isinstance(own, dict):
        return own
    both = {}
    for key, entry in own.items():
        old = {k: v for k, v in base.get(key, {}).items() if k not in ("source", "price", "spot")}
        both[key] = {**old, **entry} if isinstance(entry, dict) else entry
    return {**base, **both}


def _dangling(data: Any) -> list[Problem]:
    """Return entries whose source is not among the sources."""
    if not isinstance(data, dict) or not isinstance(data.get("machines"), dict):
        return []
    sources = data.get("sources", {})
    parts = ("accelerators", "offered", "custom")
    groups: list[tuple[tuple[str, ...], Any]] = [((part,), data.get(part)) for part in parts]
    groups += [(("machines", name), entries) for name, entries in data["machines"].items()]
    return [
        ((*path, name, "source"), f"unknown source {entry['source']!r}{did_you_mean(str(entry['source']), sources)}")
        for path, entries in groups
        if isinstance(entries, dict)
        for name, entry in entries.items()
        if isinstance(entry, dict) and "source" in entry and entry["source"] not in sources
    ]
