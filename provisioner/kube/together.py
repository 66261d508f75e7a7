"""Requests that do not wait for each other: a dozen of them take as long as two, however far the server is."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

AT_ONCE = 8
"""Requests to the server at a time."""


def together(ask: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Return the answers to all items, in their order.

    The first error is raised once nothing is under way, and begins nothing more. Ctrl-C waits for nothing: the threads
    end with the program.
    """
    todo = list(enumerate(items))
    if len(todo) < 2:
        return [ask(item) for _index, item in todo]
    answers: dict[int, Answer] = {}
    errors: list[BaseException] = []
    handed_out = _HandedOut(todo, errors)

    def work() -> None:
        for index, item in handed_out:
            try:
                answers[index] = ask(item)
            except BaseException as error:
                # It is raised below, in the thread that waits.
                errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(todo)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [answers[index] for index, _item in todo]


class _HandedOut(Iterator[Item]):
    """Items for several threads, each to one of them; no more of them after an error."""

    def __init__(self, items: Iterable[Item], errors: list[BaseException]) -> None:
        self._items, self._errors = iter(items), errors
        self._lock = threading.Lock()

    def __next__(self) -> Item:
        with self._lock:
            if self._errors:
                raise StopIteration
            return next(self._items)
