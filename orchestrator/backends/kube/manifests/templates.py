"""Jinja templates whose every value stays a value, whatever its text: quoting is the environment's, not the author's.

What `{{ ... }}` puts out goes through `scalar`, so a template cannot forget it; nothing but `block` gets around.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

FOLDER = Path(__file__).parent / "templates"
_PLAIN = re.compile(r"[A-Za-z/][-A-Za-z0-9_./]*|[0-9]+(m|Ki|Mi|Gi|Ti)")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Words that one version of YAML or another takes for no text."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class Raw(str):
    """Text that is YAML already."""


def render(template: str, **context: Any) -> str:
    """Return the YAML of one object. Raises jinja2.UndefinedError for a name that the context lacks."""
    return _environment().get_template(f"{template}.yaml.j2").render(context)


def scalar(value: Any) -> str:
    """Plain data (None, bool, numbers, text, lists, dicts with text as keys) as YAML in one line.

    Raises TypeError for anything else, and ValueError for half of a surrogate pair, which no YAML can say.
    """
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, and knows its name
    raise TypeError(f"{type(value).__name__} is no plain data")


def block(text: str, indent: int) -> Raw:
    """Text of several lines as a literal block below a key at `indent`, where YAML can say it so; else in one line."""
    lines = text.removesuffix("\n").split("\n")
    # the dumped plan and experiment are such texts; people read them in what is rendered
    if len(lines) < 2 or not lines[0] or not lines[-1] or not all(line.isprintable() for line in lines):
        return Raw(scalar(text))
    margin = " " * (indent + 2)
    chomp = "" if text.endswith("\n") else "-"
    return Raw(f"|2{chomp}\n" + "\n".join(margin + line if line else "" for line in lines))


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if _SURROGATES.search(text):
        raise ValueError("half of a surrogate pair is no character")
    # JSON's escapes are YAML's, except that YAML has no surrogate pairs and is told of what cannot be printed
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in quoted)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        finalize=scalar,
        autoescape=False,  # the output is YAML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()  # a name that the context lacks is no function of Jinja's
    environment.filters["block"] = block
    return environment
