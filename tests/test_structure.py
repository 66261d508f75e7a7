"""The rooms of the house, held by tests: folder sizes, short modules, and import cycles of every kind."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["algorithms", "charts", "cli", "orchestrator", "protocol", "provisioner"]
MODULES = {
    ".".join(("surreal", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
MAX_MODULES = 15
"""Modules of a folder, its `__init__` not counted."""
SHORT_LINES = 50
MAX_SHORT_SHARE = 0.05


def imported(path: Path) -> Iterator[str]:
    """The modules of surreal that `path` imports: at the top, inside functions and for typing."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("surreal"):
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that reach each other."""
    reach = {name: set(targets) for name, targets in graph.items()}
    for middle in reach:
        for name in reach:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    return [{other for other in reach[name] if name in reach[other]} for name in reach if name in reach[name]]


def test_no_modules_import_each_other_not_even_for_typing() -> None:
    # the packages' __init__ files name their modules lazily, so they are no way back
    plain = {name: path for name, path in MODULES.items() if path.name != "__init__.py"}
    assert cycles({name: {i for i in imported(path) if i in plain and i != name} for name, path in plain.items()}) == []


def test_the_search_for_cycles_finds_one() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}] * 3


BENCHMARKS = set((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in BENCHMARKS.union(MODULES.values())}), ids=lambda f: f.name
)
def test_a_folder_holds_no_more_modules_than_a_reader_keeps_in_mind(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MAX_MODULES


def test_few_modules_are_too_short_to_be_worth_a_file() -> None:
    lengths = {n: len(p.read_text().splitlines()) for n, p in MODULES.items() if p.name != "__init__.py"}
    short = sorted(name for name, length in lengths.items() if length < SHORT_LINES)
    assert len(short) <= MAX_SHORT_SHARE * len(lengths), short


KINDS = {"local", "kube", "ray", "gke", "eks", "existing"}
"""Names of backends and providers."""
KIND_NAMES = {"LOCAL", "CLUSTER", "RAY"}
ABOVE = ("cli/", "orchestrator/", "provisioner/")
"""Layers that know backends or providers at all."""
HOMES = ("orchestrator/backends/", "provisioner/providers/", "orchestrator/run/location.py")
"""Folders of what has such a name, and the module that reads it from an option."""


def conditions_on_a_kind(tree: ast.AST) -> list[int]:
    """The lines that compare something with the name of a backend or provider, or match it."""
    compared = [
        (node.lineno, part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for part in (side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side])
    ]
    compared += [(node.value.lineno, node.value) for node in ast.walk(tree) if isinstance(node, ast.MatchValue)]
    return [
        line
        for line, part in compared
        if (isinstance(part, ast.Constant) and part.value in KINDS)
        or (isinstance(part, ast.Name) and part.id in KIND_NAMES)
    ]


def test_no_module_asks_which_backend_or_provider_it_has() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES.values()
        if str(path.relative_to(ROOT)).startswith(ABOVE)
        and not str(path.relative_to(ROOT)).startswith(HOMES)
        and (lines := conditions_on_a_kind(ast.parse(path.read_text())))
    }
    assert found == {}


def test_the_search_for_conditions_on_a_kind_finds_each_form() -> None:
    forms = ["x == 'kube'", "'gke' == x", "x in ('local', y)", "x.backend != LOCAL", "match x:\n case 'ray': pass"]
    assert [len(conditions_on_a_kind(ast.parse(form))) for form in forms] == [1] * len(forms)
    assert conditions_on_a_kind(ast.parse("x == 'kubernetes'; y = 'kube'")) == []


def test_every_layer_with_packages_has_an_import_contract_of_its_own() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = [
        str(contract.get("containers", "")) + str(contract["layers"]) for contract in settings if "layers" in contract
    ]
    inside = {
        layer for text in named for layer in LAYERS if f"surreal.{layer}." in text or f"['surreal.{layer}'" in text
    }
    assert inside >= {layer for layer in LAYERS if any((ROOT / layer).glob("*/__init__.py"))}


@pytest.mark.parametrize("layer", sorted(set(LAYERS) - {"charts"}))
def test_every_package_and_module_of_a_layer_has_a_place_in_its_contract(layer: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    words = {
        word.removeprefix(f"surreal.{layer}.").partition(".")[0]
        for contract in settings
        for words in contract.get("layers", ())
        for word in re.split(r"[ |()]+", words)
        if contract.get("containers") == [f"surreal.{layer}"] or word.startswith(f"surreal.{layer}.")
    }
    parts = {name.split(".")[2] for name in MODULES if name.startswith(f"surreal.{layer}.")}
    assert parts - words == set()
