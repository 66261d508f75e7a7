"""Requests that do not wait for each other: a dozen of them take as long as two, however far the server is."""

import threading
from collections.abc import Callable, Iterable
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
    lock = threading.Lock()
    waiting = iter(todo)

    def work() -> None:
        while True:
            with lock:
                index, item = next(waiting, (-1, None)) if not errors else (-1, None)
            if index < 0:
                return
            try:
                answers[index] = ask(item)  # type: ignore[arg-type]
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
    return [answers[index] for index in range(len(todo))]
