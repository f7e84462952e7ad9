"""Files are whole or absent: full disks, limits, read-only folders, failing blocks."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
from disks_for_tests import make_read_only, small_disk

from nonredundant import LesionTable
from nonredundant.utils.files import make_folder, replaced_file, write_text


@pytest.fixture
def disk(tmp_path):
    """A disk of 256 KiB."""
    with small_disk(tmp_path / "disk", "256k") as folder:
        yield folder


@pytest.fixture
def file_limit():
    """A limit of 1 MiB for the size of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _table(n=2):
    return LesionTable.from_arrays(patches=np.zeros((n, 1, 32, 32, 32), dtype=np.float32))


def test_content_replaces_the_earlier_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    write_text(path, "µ")
    assert path.read_text(encoding="utf-8") == "µ"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_failing_block_keeps_the_earlier_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")

    def fail():
        with replaced_file(path) as file:
            file.write(b"sec")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text(encoding="utf-8") == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_full_disk_names_file_and_remedy_and_keeps_the_earlier_file(disk):
    path = disk / "lesions.npz"
    _table(1).save(path)
    before = path.read_bytes()
    with pytest.raises(OSError, match=r"lesions\.npz could not be written: the disk is full; free"):
        _table(4).save(path)
    assert path.read_bytes() == before
    assert os.listdir(disk) == ["lesions.npz"]


def test_full_disk_leaves_no_table_under_the_final_name(disk):
    with pytest.raises(OSError, match="the disk is full") as caught:
        _table(4).save(disk / "lesions.npz")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(disk) == []


def test_read_only_disk_keeps_the_earlier_file(disk):
    write_text(disk / "a.txt", "first")
    make_read_only(disk)
    with pytest.raises(
        OSError, match=r"a\.txt could not be written: the disk is mounted read-only"
    ):
        write_text(disk / "a.txt", "second")
    with pytest.raises(OSError, match="folder .*tables could not be created: .* read-only"):
        make_folder(disk / "tables")
    assert (disk / "a.txt").read_text(encoding="utf-8") == "first"


@pytest.mark.usefixtures("file_limit")
def test_limit_of_file_size_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="larger than the system or its limits allow"):
        _table(16).save(tmp_path / "lesions.npz")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "read-only; choose another folder"),
        (errno.EACCES, "permissions"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "fault"),
    ],
)
def test_errors_of_the_system_are_explained(tmp_path, monkeypatch, number, said):
    def refuse(path, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=f"a.txt could not be written: .*{said}") as caught:
        write_text(tmp_path / "a.txt", "text")
    assert caught.value.errno == number


def test_errors_of_reading_another_file_within_the_block_are_not_renamed(tmp_path):
    def copy():
        with replaced_file(tmp_path / "a.txt") as file:
            file.write((tmp_path / "absent.txt").read_bytes())

    with pytest.raises(FileNotFoundError, match=r"absent\.txt") as caught:
        copy()
    assert "could not be written" not in str(caught.value)


def test_missing_folder_and_folder_as_file_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="its folder does not exist; create it"):
        write_text(tmp_path / "none" / "a.txt", "text")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        write_text(tmp_path, "text")
    write_text(tmp_path / "a.txt", "text")
    with pytest.raises(NotADirectoryError, match="could not be created: a part of its path"):
        make_folder(tmp_path / "a.txt" / "tables")
    with pytest.raises(NotADirectoryError, match="could not be created: a part of its path"):
        make_folder(tmp_path / "a.txt")


def test_devices_are_written_to_directly():
    with pytest.raises(OSError, match="/dev/full could not be written: the disk is full"):
        write_text("/dev/full", "text")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    write_text("/dev/null", "text")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_permissions_and_links_are_kept(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    umask = os.umask(0o027)
    try:
        write_text(real, "first")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    real.chmod(0o600)
    link.symlink_to(real)
    write_text(link, "second")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "second"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
