"""Text that programs printed, made safe and short for a terminal."""

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC and other strings
    r"|[ -/]*[0-~])"  # two characters
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_line(text: str) -> str:
    """Return the line as a terminal would show it in the end: the last state of a progress bar, no control codes.

    A log must not move the cursor of its reader, clear the screen or set the title.
    """
    if text.isprintable():
        return text
    without = _ESCAPES.sub("", text)
    states = [state for state in without.split("\r") if state.strip()]
    return _CONTROLS.sub("", states[-1] if states else "")


def one_line(text: str, longest: int) -> str:
    """Return the text in one line of at most so many characters."""
    line = " ".join(plain_line(part) for part in text.split("\n")).strip()
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
