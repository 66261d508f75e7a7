"""One's own code becomes one small archive, the same for the same files, and what does not belong in it is refused."""

import gzip
import io
import os
import random
import socket
import tarfile
from pathlib import Path

import pytest

from surreal.orchestrator.run import code_archive as code
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, Code, pack, packed, warnings
from surreal.protocol.documents.locations import KeyPath
from surreal.protocol.errors import InvalidInput
from surreal.protocol.worker.code_archive import MAX_FILES, unpack

ENV: dict[KeyPath, str] = {("spec", "env", "id"): "my_env:Mine-v0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    (made / "inner").mkdir(parents=True)
    (made / "my_env.py").write_text("print('hello')\n")
    (made / "inner" / "task.py").write_text("X = 1\n")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o700)
    return made


def members(packed: Code) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed.data)) as archive:
        return {member.name: member for member in archive}


def refusal(folder: Path, limit: int = CONFIG_MAP_BYTES) -> str:
    with pytest.raises(InvalidInput) as raised:
        pack(folder, limit)
    text = str(raised.value)
    assert text.startswith("spec.code: ") and "\n" not in text
    return text


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_what_is_packed_is_what_is_unpacked(folder: Path, tmp_path: Path) -> None:
    made = pack(folder)
    assert unpack(made.data, tmp_path / "there", made.digest) == made.files == 3
    assert (tmp_path / "there/inner/task.py").read_text() == "X = 1\n"
    assert os.access(tmp_path / "there/run.sh", os.X_OK) and not os.access(tmp_path / "there/my_env.py", os.X_OK)
    assert made.describe() == f"3 files, 31 B, {len(made.data)} B packed"


def test_the_same_files_give_the_same_bytes_wherever_and_whenever_they_lie(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "inner").mkdir(parents=True)
    for path in ("run.sh", "inner/task.py", "my_env.py"):
        (other / path).write_bytes((folder / path).read_bytes())
        os.utime(other / path, (1, 1))
    (other / "run.sh").chmod(0o755)
    assert pack(other) == pack(folder)
    (other / "my_env.py").write_text("print('hullo')\n")
    assert pack(other).digest != pack(folder).digest


def test_nothing_of_this_machine_goes_along(folder: Path) -> None:
    for member in members(pack(folder)).values():
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.mode in (0o644, 0o755) and member.isreg()
    assert gzip.decompress(pack(folder).data)


def test_what_tools_leave_behind_and_what_the_folder_lists_stays_out(folder: Path) -> None:
    for left in (".git/config", "__pycache__/a.pyc", "b.pyc", ".venv/x", ".mypy_cache/y", ".env", "data/big.npy"):
        (folder / left).parent.mkdir(exist_ok=True)
        (folder / left).write_text("x")
    (folder / "inner" / "notes.txt").write_text("x")
    (folder / ".surrealignore").write_text("# what is no code\n./data/\n\ninner/*.txt\n")
    made = pack(folder)
    assert set(members(made)) == {".surrealignore", "my_env.py", "inner/task.py", "run.sh"}
    assert made.left_out == 8 and made.describe().endswith("; 8 left out")


def test_experiments_that_lie_below_the_code_stay_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / "keys.json").write_text("{}")
    monkeypatch.setenv("SURREAL_HOME", str(folder / "runs"))
    assert set(members(pack(folder))) == {"my_env.py", "inner/task.py", "run.sh"}


def test_links_inside_become_what_they_lead_to(folder: Path) -> None:
    (folder / "alias.py").symlink_to("my_env.py")
    (folder / "also").symlink_to("inner")
    made = pack(folder)
    assert {"alias.py", "also/task.py"} <= set(members(made))
    assert all(member.isreg() for member in members(made).values())


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/etc/hosts", "is a link that leads outside of the folder, to /etc/hosts"),
        ("nowhere", "is a link that leads nowhere (nowhere)"),
        ("../..", "is a link that leads outside of the folder"),
        (".", "is a link to a folder that it lies in"),
        ("..", "is a link to a folder that it lies in"),
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(folder: Path, target: str, why: str) -> None:
    (folder / "inner" / "link").symlink_to(target)
    text = refusal(folder)
    assert f"'inner/link' in {folder} {why}" in text and ".surrealignore" in text
    (folder / ".surrealignore").write_text("link")
    assert pack(folder).left_out == 1


def test_sockets_and_devices_are_refused(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path is short
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        assert "'socket' in " in refusal(folder)
        assert "is neither a file nor a folder" in refusal(folder)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "my_env.py").chmod(0)
    assert "my_env.py cannot be packed: Permission denied" in refusal(folder)


def test_a_file_that_shrinks_meanwhile_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(code._Walk(folder).files())
    (folder / "my_env.py").write_text("")
    monkeypatch.setattr(code._Walk, "files", lambda _: iter(found))
    assert "my_env.py cannot be packed: it changed meanwhile" in refusal(folder)


def test_two_gigabytes_are_refused_without_being_read(folder: Path) -> None:
    sparse(folder / "data/a.npy", 2 * 10**9)
    sparse(folder / "data/b.npy", 10**7)
    text = refusal(folder)
    assert "holds 2.01 GB in 5 files, more than 268 MB, the most code can be" in text
    assert "the largest are data/a.npy (2 GB), data/b.npy (10 MB), " in text
    assert ".surrealignore" in text and "on a volume" in text


def test_what_does_not_pack_well_is_refused_at_the_limit(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(random.Random(1).randbytes(2_000_000))
    assert "holds 2 MB in 4 files, more than 900 kB packed; the largest are weights.bin (2 MB)" in refusal(folder)
    assert pack(folder).files == 4, "the store has room for it"


def test_text_that_packs_well_fits(folder: Path) -> None:
    (folder / "table.csv").write_text("0,0,0\n" * 1_000_000)
    assert len(pack(folder, CONFIG_MAP_BYTES).data) < CONFIG_MAP_BYTES


def test_too_many_files_are_refused_with_the_place_that_has_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_FILES", 20)
    for number in range(30):
        sparse(folder / "frames" / f"{number}.png", 1)
    assert "holds more than 20 files, " in refusal(folder)
    assert " of the first in frames/" in refusal(folder)
    assert MAX_FILES == 10_000


@pytest.mark.parametrize("what", ["missing", "file", "empty", "only ignored"])
def test_a_folder_with_nothing_in_it_is_refused(tmp_path: Path, what: str) -> None:
    place = tmp_path / "place"
    if what == "file":
        place.write_text("")
    if what in ("empty", "only ignored"):
        place.mkdir()
    if what == "only ignored":
        (place / ".git").mkdir()
    assert ("holds no files to pack" if place.is_dir() else "is no folder") in refusal(place)


def test_names_of_all_kinds_survive(tmp_path: Path) -> None:
    place = tmp_path / "place"
    long = "/".join(["d" * 60] * 4)
    names = ["ü ñ.py", "-rf", "$(x)", "a\nb", os.fsdecode(b"\xff.py"), f"{long}/m.py"]
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name, errors="surrogateescape")
    made = pack(place)
    unpack(made.data, tmp_path / "there", made.digest)
    assert all((tmp_path / "there" / name).read_text(errors="surrogateescape") == name for name in names)


def test_requirements_are_not_installed_and_that_is_said(folder: Path) -> None:
    assert warnings("mine", folder.parent, {}, remote=True) == []
    (folder / "requirements.txt").write_text("numpy\n")
    (there,) = warnings("mine", folder.parent, ENV, remote=True)
    assert "mine/requirements.txt is not installed" in there and "spec.image" in there
    (here,) = warnings("mine", folder.parent, ENV, remote=False)
    assert "belong into this environment" in here


def test_a_plan_without_code_packs_nothing(folder: Path) -> None:
    assert packed("", folder) is None
    assert packed("./mine", folder.parent) == pack(folder) == packed(str(folder), Path("/elsewhere"))


def test_a_module_of_ones_own_that_does_not_go_along_is_worth_a_warning(folder: Path) -> None:
    assert warnings("", folder, {}, remote=True) == [] == warnings("", folder, ENV, remote=False)
    (warning,) = warnings("", folder, ENV, remote=True)
    assert "spec.code" in warning and "my_env" in warning
    wrapped = {**ENV, ("spec", "env", "wrappers", 1): "my_wrappers:Flip"}
    assert [text.partition(" comes")[0] for text in warnings("", folder, wrapped, remote=True)] == [
        "spec.env.id: my_env:Mine-v0",
        "spec.env.wrappers.1: my_wrappers:Flip",
    ]
