"""The user whom a kubeconfig names: headers of every request, impersonation, and hints for missing programs."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from surreal.protocol.errors import InvalidInput

IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
"""Keys of a kubeconfig's user that ask to act as another one."""


def headers(settings: Any, user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the (name, value) pairs that tell the server who asks; a name may come several times.

    `settings` is kubernetes.client.Configuration, `user` the kubeconfig's user. A token file written by an editor ends
    with a newline, which no header may hold.
    """
    given = [each for each in settings.auth_settings().values() if each["in"] == "header"]
    return [(each["key"], str(each["value"]).strip()) for each in given] + list(_impersonation(user))


def check_plugin(user: Mapping[str, Any], kubeconfig: Path | str) -> None:
    """Raise InvalidInput with the kubeconfig's install hint if the credential plugin is not installed."""
    plugin = user.get("exec") or {}
    command = str(plugin.get("command") or "")
    if not command or shutil.which(command) or Path(command).is_file() or "/" in command:
        return
    hint = str(plugin.get("installHint") or "").strip()
    raise InvalidInput(
        f"{kubeconfig}: user.exec.command: {command!r} is not on your PATH. "
        + (hint or "Install the credential plugin of your cluster's provider.")
    )


def _impersonation(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not user.get("as"):
        if any(user.get(key) for key in IMPERSONATION):
            raise InvalidInput(
                "kubeconfig: its user has as-uid, as-groups or as-user-extra without as. Add as, as kubectl asks."
            )
        return
    yield "Impersonate-User", str(user["as"])
    if user.get("as-uid"):
        yield "Impersonate-Uid", str(user["as-uid"])
    for group in user.get("as-groups") or ():
        yield "Impersonate-Group", str(group)
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values:
            yield f"Impersonate-Extra-{quote(str(key).lower(), safe='')}", str(value)
