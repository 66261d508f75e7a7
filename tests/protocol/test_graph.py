"""Graph: names of processes, and roles that are given as functions."""

import functools
from typing import Any

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import ProcessName, Role, role_of


def act(process: Any) -> None:
    """The function of a role."""


class Holder:
    def act(self, process: Any) -> None: ...


def test_a_role_stores_the_name_of_its_function() -> None:
    assert Role("actor", act).entry_point == f"{__name__}:act"
    assert Role("actor", "package.module:function").entry_point == "package.module:function"
    assert Role("actor", act) == Role("actor", f"{__name__}:act")


def test_a_function_that_a_worker_cannot_import_is_refused_with_the_reason_and_the_way_out() -> None:
    def local(process: Any) -> None: ...

    main = functools.wraps(act)(lambda process: None)
    main.__module__, main.__qualname__ = "__main__", "act"
    for function, words in (
        (
            local,
            r"role actor: run: '.*local' \(.*test_graph.py:27\) is defined inside another .*top of a module",
        ),
        (Holder().act, r"'Holder.act' \(.*\) is defined inside another function or class"),
        (Holder.act, r"'Holder.act' \(.*\) is defined inside another function or class"),
        (eval("lambda process: None", {"__name__": "m"}), r"'<lambda>' \(.*\) has no name.*Use `def`"),
        (functools.partial(act), "is no function. Pass a function of a module"),
        (len, "is no function. Pass a function of a module"),
        (main, r"role actor: run: 'act' \(.*\) is a function of __main__.*nothing is pickled. Move it into a module"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Role("actor", function)


@pytest.mark.parametrize("text", ["actor/3", "a-b/0", "weights-relay/123456789"])
def test_a_process_name_is_a_role_and_an_index(text: str) -> None:
    name = ProcessName.parse(text)
    assert str(name) == text and f"{name.role}/{name.index}" == text and role_of(text) == name.role


@pytest.mark.parametrize("text", ["", "actor", "actor/", "/3", "actor/x", "actor/-1", "actor/٣", "actor/1234567890"])
def test_what_is_no_process_name_is_none(text: str) -> None:
    assert ProcessName.find(text) is None
    with pytest.raises(ValueError, match="is no process"):
        ProcessName.parse(text)
