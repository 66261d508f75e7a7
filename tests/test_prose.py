"""The prose of the house, held by a test: docstrings start with a verb or a noun, and name their subject."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["algorithms", "charts", "cli", "orchestrator", "protocol", "provisioner"]
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
QUESTION = re.compile(r"^(What|Who|Where|Whether|How|Why|Which|When|As|Of|Those|That|Is|Are|Does|Do)\b")
AVOIDED = re.compile(r"^\| (\w+) \|", re.M)


def avoided_words() -> set[str]:
    """The words of the last table of docs/vocabulary.md."""
    table = (ROOT / "docs/vocabulary.md").read_text().partition("## Words to avoid")[2]
    return set(AVOIDED.findall(table)) - {"instead"}


WORDS = re.compile(r"\b(" + "|".join(sorted(avoided_words())) + r")\b", re.I)


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name, docstring) of the module, its classes and its functions, and of names that are assigned in them."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if text := ast.get_docstring(node):
            yield getattr(node, "name", "module"), text
        for before, after in pairwise(node.body):
            match before, after:
                case ast.Assign() | ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(text))):
                    yield f"line {after.lineno}", text


def sentences(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(line, text) of every other string of more than three words: error sentences, helps and constants' texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 2:
            yield f"line {node.lineno}", node.value


ERRORS = {"InvalidInput", "NotFound", "Unreachable", "Timeout", "Fatal", "SurrealError"}
KEY = r"(?:no |(?:\S+ ){0,3}\S+: |VALUE[;,.] )"
"""A key, an option or a name; `no experiment 'x'`; or the whole of another error."""
FORM = re.compile(rf"{KEY}.+?[.!?]\)?\s+(?:[A-Z`]|VALUE).*", re.S)
"""`key: value problem. What to do.`; the last sentence may end in a command to copy."""
QUOTED = re.compile(r"(?:(?:\S+ ){0,3}\S+: )?(?:VALUE[ \n:]*)+")
"""Errors that others have worded."""


def words_of(node: ast.expr) -> str:
    """The text of a string with VALUE for each expression in it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(words_of(part) for part in parts)
        case _:
            return "VALUE"


def errors(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every error that a user may see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
            yield node.lineno, words_of(node.args[0])


class Texts(NamedTuple):
    """The texts of a module."""

    docstrings: list[tuple[str, str]]
    sentences: list[tuple[str, str]]
    errors: list[tuple[int, str]]


@cache
def texts(path: Path) -> Texts:
    """Parse a module once for all tests."""
    tree = ast.parse(path.read_text())
    return Texts(list(docstrings(tree)), list(sentences(tree)), list(errors(tree)))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_vocabulary_lists_words_to_avoid() -> None:
    assert {"nobody", "somebody", "whoever"} <= avoided_words()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_docstrings_start_with_a_verb_or_a_noun(path: Path) -> None:
    found = texts(path).docstrings
    assert [f"{where}: {text.splitlines()[0]}" for where, text in found if QUESTION.match(text)] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_texts_name_their_subject(path: Path) -> None:
    assert [f"{where}: {text}" for where, text in texts(path).sentences if WORDS.search(text)] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_errors_name_the_key_the_problem_and_what_to_do(path: Path) -> None:
    found = texts(path).errors
    assert [f"line {line}: {text}" for line, text in found if not FORM.match(text) and not QUOTED.fullmatch(text)] == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("spec.code: VALUE is no folder. Name one.", True),
        ("no experiment VALUE. There are: VALUE.", True),
        ("--set VALUE: has no value. Write null for none.", True),
        ("spec.code: VALUE is no folder", False),
        ("spec.code: VALUE is no folder; name one", False),
        ("the folder VALUE that was named cannot be read. Name another one.", False),
    ],
)
def test_the_form_of_errors_tells_good_from_bad(text: str, good: bool) -> None:
    assert bool(FORM.match(text)) is good


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=name)
def test_pages_name_their_subject(page: Path) -> None:
    lines = enumerate(page.read_text().partition("## Words to avoid")[0].splitlines(), 1)
    assert [f"line {number}: {line}" for number, line in lines if WORDS.search(line)] == []
