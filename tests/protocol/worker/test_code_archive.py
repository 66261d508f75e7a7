"""The code of a run arrives whole or not at all, and an archive of anything else writes nothing."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from surreal.protocol.errors import ExitCode, Fatal
from surreal.protocol.worker import code_archive as module
from surreal.protocol.worker.code_archive import MARKER, unpack


def archive(*entries: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A tar.gz with these files, or members of any kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            member = tarfile.TarInfo(entry[0])
            member.size = len(entry[1])
            tar.addfile(member, io.BytesIO(entry[1]))
    return buffer.getvalue()


def member(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, linkname
    return made


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(folder: Path) -> dict[str, str]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


GOOD = archive(("a.py", b"1"), ("b/c.py", b"2"))


def run(path: Path, folder: Path, wanted: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "surreal.protocol.worker.code_archive", str(path), str(folder), wanted]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_the_command_unpacks_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "code.tar.gz").write_bytes(GOOD)
    done = run(tmp_path / "code.tar.gz", tmp_path / "code", digest(GOOD))
    assert (done.returncode, done.stdout) == (ExitCode.DONE, "")
    assert done.stderr == f"code: 2 files in {tmp_path / 'code'}\n"
    assert files(tmp_path / "code") == {"a.py": "1", "b/c.py": "2"}


def test_another_archive_than_the_one_packed_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "code.tar.gz").write_bytes(GOOD)
    done = run(tmp_path / "code.tar.gz", tmp_path / "code", "0" * 64)
    assert done.returncode == ExitCode.FATAL
    assert "is not the one that was packed: its sha256 is " in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "code").exists()


def test_an_archive_that_is_not_there_yet_is_tried_again(tmp_path: Path) -> None:
    done = run(tmp_path / "missing", tmp_path / "code", digest(GOOD))
    assert done.returncode == ExitCode.FAILED
    assert "it will be tried again" in done.stderr and "Traceback" not in done.stderr


def test_wrong_arguments_are_a_matter_of_usage() -> None:
    assert module.main(["one"]) == ExitCode.INVALID


@pytest.mark.parametrize(
    "entry",
    [
        ("/etc/surreal-test", b"x"),
        ("../outside", b"x"),
        ("a/../../outside", b"x"),
        ("", b"x"),
        (MARKER, b"x"),
        ("a.py", b"twice"),
        ("./a.py", b"twice"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "a.py"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("folder", tarfile.DIRTYPE),
    ],
    ids=lambda entry: entry[0] if isinstance(entry, tuple) else f"{entry.name}-{entry.type.decode()}",
)
def test_what_no_code_archive_holds_writes_nothing(tmp_path: Path, entry: tuple[str, bytes] | tarfile.TarInfo) -> None:
    data = archive(("a.py", b"1"), entry)
    with pytest.raises(Fatal, match="nothing was unpacked"):
        unpack(data, tmp_path / "code", digest(data))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"no archive", GOOD[:60], gzip.compress(b"x" * 10_000)], ids=range(4))
def test_what_is_no_archive_writes_nothing(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Fatal, match="cannot be read"):
        unpack(data, tmp_path / "code", digest(data))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_unpacks_to_more_than_allowed_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1000)
    monkeypatch.setattr(module, "_HEADERS", 20_480)
    data = archive(("zeros", b"\0" * 2**20))
    assert len(data) < 2000
    with pytest.raises(Fatal, match="unpacks to more than 1,000 bytes; nothing was unpacked"):
        unpack(data, tmp_path / "code", digest(data))
    assert list(tmp_path.iterdir()) == []


def test_too_many_files_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 1)
    with pytest.raises(Fatal, match="holds 2 files, more than 1"):
        unpack(GOOD, tmp_path / "code", digest(GOOD))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_larger_than_allowed_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PACKED_BYTES", 10)
    (tmp_path / "large").write_bytes(GOOD)
    with pytest.raises(Fatal, match="is larger than 10 bytes"):
        module.read(str(tmp_path / "large"))


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    unpack(GOOD, tmp_path / "code", digest(GOOD))
    (tmp_path / "code" / "a.py").write_text("kept")
    assert unpack(GOOD, tmp_path / "code", digest(GOOD)) == 2
    assert files(tmp_path / "code")["a.py"] == "kept"


def test_what_an_interruption_left_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "half").mkdir(parents=True)
    (folder / MARKER).write_text("")
    (folder / "half" / "old.py").write_text("old")
    (folder / "a.py").write_text("half of it")
    unpack(GOOD, folder, digest(GOOD))
    assert files(folder) == {"a.py": "1", "b/c.py": "2"}
    assert (folder / MARKER).read_text() == digest(GOOD)


def test_files_of_somebody_else_stay(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(Fatal, match="holds files that surreal did not unpack, such as 'thesis.tex'"):
        unpack(GOOD, folder, digest(GOOD))
    assert files(folder) == {"thesis.tex": "mine"}


def test_a_fresh_volume_may_have_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "code" / "lost+found").mkdir(parents=True)
    assert unpack(GOOD, tmp_path / "code", digest(GOOD)) == 2


def test_an_archive_may_lie_in_an_object_store(tmp_path: Path) -> None:
    (tmp_path / "code.tar.gz").write_bytes(GOOD)
    assert module.main([(tmp_path / "code.tar.gz").as_uri(), str(tmp_path / "code"), digest(GOOD)]) == ExitCode.DONE
    assert files(tmp_path / "code") == {"a.py": "1", "b/c.py": "2"}


def test_a_store_without_the_archive_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = (tmp_path / "missing").as_uri()
    assert module.main([url, str(tmp_path / "code"), digest(GOOD)]) != ExitCode.DONE
    assert "cannot read" in capsys.readouterr().err
