"""Caches on full and read-only disks, and with damaged entries."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from disks_for_tests import make_read_only, small_disk

from nonredundant.utils.cache import CacheError, KeptFunction


def ones(n):
    """Return many numbers."""
    calls.append(n)
    return np.ones(n)


def warning(n):
    """Warn."""
    warnings.warn("odd", UserWarning, stacklevel=1)
    return n


def denied(n):
    """Raise an error that has nothing to do with the cache."""
    raise PermissionError(13, "denied", "/elsewhere")


calls: list[int] = []
LARGE = 100_000


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


@pytest.fixture
def disk(tmp_path):
    """A disk of 512 KiB."""
    with small_disk(tmp_path / "disk", "512k") as folder:
        yield folder


def outputs(folder):
    """List the files of results, whole or in part."""
    return sorted(path.name for path in Path(folder).rglob("output.pkl*"))


@pytest.mark.parametrize("as_memory", [False, True])
def test_a_result_is_computed_once(tmp_path, as_memory):
    kept = KeptFunction(joblib.Memory(tmp_path, verbose=0) if as_memory else tmp_path, ones, [])
    assert not kept.holds(3)
    assert kept(3).tolist() == pickle.loads(pickle.dumps(kept))(3).tolist() == [1, 1, 1]
    assert kept.holds(3)
    assert calls == [3]


def test_a_path_as_text_names_the_same_cache(tmp_path):
    KeptFunction(tmp_path, ones, [])(3)
    assert KeptFunction(str(tmp_path), ones, []).holds(3)


def test_a_full_disk_is_an_error_and_keeps_what_was_there(disk):
    kept = KeptFunction(disk, ones, [])
    kept(3)
    with pytest.raises(
        CacheError, match=r"the cache .*disk.joblib could not be written: the disk is full"
    ):
        kept(LARGE)
    assert outputs(disk) == ["output.pkl"]
    assert not kept.holds(LARGE)
    assert kept.holds(3)


def test_a_read_only_cache_gives_what_it_holds_and_says_that_it_takes_no_more(disk):
    KeptFunction(disk, ones, [])(3)
    make_read_only(disk)
    kept = KeptFunction(disk, ones, [])
    assert kept(3).sum() == 3
    assert calls == [3]
    with pytest.raises(CacheError, match="mounted read-only; choose another folder"):
        kept(4)
    with pytest.raises(CacheError, match="mounted read-only"):
        KeptFunction(disk / "new", ones, [])


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"file.cache could not be written: a part of its path"):
        KeptFunction(tmp_path / "file" / "cache", ones, [])


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", None])
def test_a_damaged_entry_is_computed_again(tmp_path, content):
    kept = KeptFunction(tmp_path, ones, [])
    kept(1000)
    path = next(tmp_path.rglob("output.pkl"))
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    np.testing.assert_array_equal(kept(1000), np.ones(1000))
    assert calls == [1000, 1000]
    np.testing.assert_array_equal(joblib.load(path), np.ones(1000))


def test_warnings_and_errors_of_the_function_are_its_own(tmp_path):
    with pytest.warns(UserWarning, match="odd"):
        assert KeptFunction(tmp_path, warning, [])(1) == 1
    with pytest.raises(PermissionError) as caught:
        KeptFunction(tmp_path, denied, [])(1)
    assert not isinstance(caught.value, CacheError)


def test_an_entry_that_another_process_clears_does_not_matter(tmp_path, monkeypatch):
    kept = KeptFunction(tmp_path, ones, [])

    def vanish(*args):
        raise FileNotFoundError(2, "No such file", os.path.join(str(tmp_path), "joblib", "x"))

    monkeypatch.setattr(kept.function.store_backend, "_concurrency_safe_write", vanish)
    assert kept(2).tolist() == [1, 1]
