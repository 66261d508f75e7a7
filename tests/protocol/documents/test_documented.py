"""Models whose fields are described by the strings below them, read only when a schema is made."""

import subprocess
import sys

from pydantic import Field

from surreal.protocol.documents.documented import Documented


class Base(Documented):
    """Base of the model below."""

    above: int = 1
    """Field of the base."""
    hidden: int = 2


class Model(Base):
    """A model."""

    first: int = Field(default=1, alias="First")
    """First field,
    in two lines."""
    second: int = Field(default=2, description="said in the field")
    """Said below."""
    above: int = 3
    """Field of the model."""


def test_the_string_below_a_field_describes_it() -> None:
    shown = Model.model_json_schema()["properties"]
    assert shown["First"]["description"] == "First field,\nin two lines."
    assert shown["second"]["description"] == "said in the field"
    assert shown["above"]["description"] == "Field of the model."
    assert "description" not in shown["hidden"]
    assert Base.model_json_schema()["properties"]["above"]["description"] == "Field of the base."


def test_a_worker_that_imports_its_config_reads_no_source() -> None:
    code = "import linecache, surreal.algorithms.ppo.config as c; print(c.__file__ in linecache.cache)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
