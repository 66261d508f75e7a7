"""Kubeconfigs are read as kubectl reads them: token files, impersonation, lists of files, plugins, proxies."""

import json
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kubeconfig import access


def write(path: Path, user: dict[str, Any], **cluster: str) -> Path:
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "lab"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(made))
    return path


def headers(path: Path) -> list[tuple[str, str]]:
    return access(str(path)).headers()


def test_a_token_file_may_end_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0k\n")
    assert headers(write(tmp_path / "config", {"tokenFile": str(tmp_path / "token")})) == [
        ("authorization", "Bearer t0k")
    ]


def test_requests_are_made_as_the_user_that_the_file_impersonates(tmp_path: Path) -> None:
    user = {"token": "t", "as": "ann", "as-groups": ["rl", "gpu"], "as-uid": "7", "as-user-extra": {"Scope": ["a b"]}}
    assert headers(write(tmp_path / "config", user))[1:] == [
        ("Impersonate-User", "ann"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "rl"),
        ("Impersonate-Group", "gpu"),
        ("Impersonate-Extra-scope", "a b"),
    ]


def test_groups_without_a_user_are_refused_as_kubectl_does(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="as-groups.*without as"):
        headers(write(tmp_path / "config", {"token": "t", "as-groups": ["rl"]}))


def test_an_empty_file_of_a_list_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    config = write(tmp_path / "config", {"token": "t"})
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'empty'}:{tmp_path / 'missing'}:{config}")
    assert access().namespace == "lab"


def test_a_missing_credential_plugin_is_named_with_the_files_hint(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "no-such-plugin",
        "interactiveMode": "Never",
        "installHint": "get it from the platform team",
    }
    with pytest.raises(InvalidInput, match="'no-such-plugin' is not on your PATH. get it from the platform team"):
        access(str(write(tmp_path / "config", {"exec": plugin})))


def test_a_socks_proxy_is_used(tmp_path: Path) -> None:
    config = write(tmp_path / "config", {"token": "t"}, **{"proxy-url": "socks5://127.0.0.1:9"})
    assert "SOCKS" in type(access(str(config)).client.rest_client.pool_manager).__name__
