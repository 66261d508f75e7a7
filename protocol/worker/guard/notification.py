"""Notification of a person: a command that is run, and a URL that gets a POST of JSON. A failure harms nothing.

The command is a list of arguments that no shell sees. Words of the run go to its standard input and environment alone.
"""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from surreal.protocol.worker.guard.goal import goal_reached

COMMAND_S = 30.0
"""Seconds that a command may take."""
URL_S = 10.0
"""Seconds that a server may take to answer."""
END, FAILURE, NO_PROGRESS = "end", "failure", "noProgress"
HARMLESS = "The run is not changed by that."
MAX_WORDS = 2000
"""Characters of a reason."""


@dataclass(frozen=True)
class Notice:
    """Content of one notification."""

    event: str
    """`end`, `failure` or `noProgress`."""
    name: str
    """The run."""
    state: str
    """`succeeded`, `stopped`, `failed`, or `running` for one without progress."""
    text: str
    """One sentence, under the name that chat services expect."""
    progress: Mapping[str, float] = field(default_factory=dict)
    """Its newest figures, as far as they are known: steps, episode_return, hours, cost and so on."""

    @classmethod
    def of_end(
        cls, name: str, state: str, reason: str, progress: Mapping[str, float], config: Mapping[str, Any]
    ) -> "Notice":
        """Return the notice of a run with `config` that is over, which says the goal that ended it early."""
        if state == "succeeded":
            reason = reason or goal_reached(config, progress)
        words = f"{name} {state}{': ' + reason[:MAX_WORDS] if reason else ''}"
        return cls(FAILURE if state == "failed" else END, name, state, words, progress)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    def variables(self) -> dict[str, str]:
        """Return the environment variables of a command."""
        plain = {"EVENT": self.event, "NAME": self.name, "STATE": self.state, "TEXT": self.text}
        return {f"SURREAL_{key}": value.replace("\0", "") for key, value in plain.items()}


def tell(notify: Mapping[str, Any], notice: Notice) -> list[str]:
    """Run the command and ask the URL of `notify`; return one sentence for each that failed. Raises nothing."""
    problems = []
    if command := notify.get("command"):
        problems.append(_run(list(command), notice))
    if url := notify.get("url"):
        problems.append(_post(str(url), notice))
    return [problem for problem in problems if problem]


def _run(command: list[str], notice: Notice) -> str:
    """Run a command in a group of its own; return what went wrong."""
    key = f"spec.notify.command: {command[0]!r}"
    try:
        started = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **notice.variables()},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"{key} could not be run: {error}. {HARMLESS}"
    with started:
        try:
            _, said = started.communicate(notice.to_json().encode(), COMMAND_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            return f"{key} took over {COMMAND_S:.0f} s and was ended. Have it return sooner."
    if started.returncode == 0:
        return ""
    words = said.decode(errors="replace").strip().splitlines()[-1:]
    cause = f": {words[0][:200]}" if words else ""
    return f"{key} failed (exit {started.returncode}){cause}. {HARMLESS}"


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere: the POST would become a GET, and nothing be told."""


def _post(url: str, notice: Notice) -> str:
    """POST the notice; return what went wrong. The path of the URL may be a secret, so only its host is named."""
    key = f"spec.notify.url: {urlsplit(url).hostname!r}"
    try:
        request = urllib.request.Request(
            url, notice.to_json().encode(), {"Content-Type": "application/json", "User-Agent": "surreal"}
        )
        with urllib.request.build_opener(_Stays()).open(request, timeout=URL_S) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        with error:
            return f"{key} answered {error.code} {error.reason}. {HARMLESS}"
    except (OSError, ValueError) as error:
        # includes URLError, timeouts and broken answers
        return f"{key} was not reached: {getattr(error, 'reason', error)}. {HARMLESS}"
    except Exception as error:
        return f"{key} gave no answer of HTTP: {type(error).__name__}. {HARMLESS}"
    return ""
