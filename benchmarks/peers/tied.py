"""A script that ends with the one that started it, also where that was killed."""

import os
import threading


def tie() -> None:
    """End this process as soon as standard input does."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    # a buffered read holds a lock that the end of the interpreter needs, and would abort it
    while os.read(0, 4096):
        pass
    os._exit(1)
