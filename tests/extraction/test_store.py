"""Streaming lesions to a store: the same table, resumed, shared by writers, never mixed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from cases_for_tests import assert_same, cohort, on_disk, quick, several
from disks_for_tests import small_disk

from nonredundant.extraction import measurement, streaming
from nonredundant.lesions import LesionTable
from nonredundant.lesions import store as store_module
from nonredundant.lesions.store import LesionStore
from nonredundant.utils.validation import InvalidParameterError


def counted(monkeypatch):
    """Count the cases that are measured."""
    measured = []
    run_case = measurement.run_case

    def count(key, sources, plan, memory):
        measured.append(sources)
        return run_case(key, sources, plan, memory)

    monkeypatch.setattr(streaming, "run_case", count)
    return measured


def two_lesions(n=3):
    """Return cases with two lesions each."""
    pairs = [several() for _ in range(n)]
    images = [image + i for i, (image, _) in enumerate(pairs)]
    frame = {"image": images, "mask": [(mask == 1).astype(np.uint8) for _, mask in pairs]}
    return pd.DataFrame(frame, index=[f"p{i}" for i in range(n)])


def test_a_store_gives_the_table_of_memory(tmp_path):
    cases = cohort(5)
    extractor = quick(clinical=["age"])
    here = extractor.fit_transform(cases)
    returned = extractor.to_store(cases, tmp_path / "store", batch_size=2)
    opened = LesionTable.open(tmp_path / "store")
    for table in (returned, opened):
        assert_same(here, table)
        assert table.blocks == here.blocks
        assert table.provenance == json.loads(json.dumps(here.provenance))
        assert table.lesion_status.equals(here.lesion_status)


def test_several_lesions_and_2d_images(tmp_path):
    cases = two_lesions()
    extractor = quick(lesions="components")
    table = extractor.to_store(cases, tmp_path / "several", batch_size=2)
    assert_same(extractor.fit_transform(cases), table)
    flat = pd.DataFrame({"image": [np.random.default_rng(i).random((12, 12)) for i in range(3)]})
    extractor = quick(patch_shape=(12, 12), bin_width=0.05, whole_image=True)
    assert_same(extractor.fit_transform(flat), extractor.to_store(flat, tmp_path / "flat"))


def test_without_patches(tmp_path):
    extractor = quick(patch_shape=None)
    table = extractor.to_store(cohort(), tmp_path)
    assert table.patches is None
    pd.testing.assert_frame_equal(table.features, extractor.fit_transform(cohort()).features)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(4, name="patient"),
        pd.Index([3, "a", 1.5, "7"]),
        pd.date_range("2026-01-01", periods=4, freq="D", name="scan"),
    ],
)
def test_labels_keep_their_type_and_name(tmp_path, index):
    table = quick().to_store(cohort().set_axis(index, axis=0), tmp_path)
    assert table.index.tolist() == index.tolist()
    assert table.index.name == index.name


def test_a_second_run_measures_only_what_is_missing(tmp_path, monkeypatch):
    cases = on_disk(cohort(6), tmp_path)
    extractor = quick(root=tmp_path)
    measured = counted(monkeypatch)
    extractor.to_store(cases[:4], tmp_path / "store")
    assert len(measured) == 4
    table = extractor.to_store(cases, tmp_path / "store")
    assert len(measured) == 6
    assert_same(extractor.fit_transform(cases), table)
    extractor.to_store(cases, tmp_path / "store")
    assert len(measured) == 6
    # Another date of the same bytes is the same case.
    for file in tmp_path.glob("*.nii.gz"):
        os.utime(file, (0, 0))
    extractor.to_store(cases, tmp_path / "store")
    assert len(measured) == 6


def test_a_table_that_was_opened_does_not_change(tmp_path):
    first = quick().to_store(cohort(4)[:2], tmp_path)
    quick().to_store(cohort(4), tmp_path)
    assert_same(first, quick().fit_transform(cohort(4)[:2]))
    assert len(LesionTable.open(tmp_path)) == 4


def test_samples_come_in_the_order_of_the_tables_whoever_writes_first(tmp_path):
    cases = cohort(7)
    for i in (2, 0, 1):
        table = quick().to_store(cases, tmp_path, shard=(i, 3), batch_size=1)
    assert_same(quick().fit_transform(cases), table)
    shards = np.array_split(np.arange(7), 3)
    assert [len(one) for one in shards] == [3, 2, 2]


def test_writers_of_several_processes(tmp_path):
    cases = cohort(6)
    joblib.Parallel(n_jobs=2)(
        joblib.delayed(quick().to_store)(cases, tmp_path, shard=(i, 3), batch_size=1)
        for i in range(3)
    )
    assert_same(quick().fit_transform(cases), LesionTable.open(tmp_path))


def test_two_writers_of_the_same_cases_leave_one_of_each(tmp_path):
    cases = cohort(4)
    quick().to_store(cases, tmp_path)
    # The same cases again, as from a writer that saw an empty store.
    other = quick().to_store(cases, tmp_path / "other")
    for part in (tmp_path / "other" / "parts").iterdir():
        shutil.copytree(part, tmp_path / "parts" / part.name)
    shutil.rmtree(tmp_path / "other")
    assert_same(quick().fit_transform(cases), LesionTable.open(tmp_path))
    assert len(other) == 4


def test_a_killed_run_leaves_complete_batches_and_is_resumed(tmp_path):
    script = tmp_path / "write.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            sys.path.insert(0, {str(Path(__file__).parents[1])!r})
            from cases_for_tests import cohort, quick
            from nonredundant.extraction import streaming
            run_case = streaming.run_case
            def slow(*arguments):
                time.sleep(0.2)
                return run_case(*arguments)
            streaming.run_case = slow
            quick().to_store(cohort(12), {str(tmp_path / "store")!r}, batch_size=2)
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)])
    parts = tmp_path / "store" / "parts"
    for _ in range(600):
        if parts.exists() and len(list(parts.iterdir())) >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = LesionTable.open(tmp_path / "store")
    assert 4 <= len(seen) < 12
    assert len(seen) % 2 == 0
    assert_same(quick().fit_transform(cohort(12)[: len(seen)]), seen)
    table = quick().to_store(cohort(12), tmp_path / "store")
    assert_same(quick().fit_transform(cohort(12)), table)


def test_an_unfinished_part_is_not_seen(tmp_path):
    quick().to_store(cohort(4), tmp_path, batch_size=2)
    part = sorted((tmp_path / "parts").iterdir())[-1]
    part.rename(tmp_path / "unfinished" / part.name)
    (tmp_path / "manifests" / f"{part.name}.json").unlink()
    assert len(LesionTable.open(tmp_path)) == 2
    assert_same(quick().fit_transform(cohort(4)), quick().to_store(cohort(4), tmp_path))


def test_other_settings_are_refused_by_name(tmp_path):
    quick(clinical=["age"]).to_store(cohort(), tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(.*binWidth: stored 0.1, now 0.2"):
        quick(bin_width=0.2, clinical=["age"]).to_store(cohort(), tmp_path)
    with pytest.raises(ValueError, match="patch_shape"):
        quick(patch_shape=(9, 8, 8), clinical=["age"]).to_store(cohort(), tmp_path)
    with pytest.raises(ValueError, match="columns"):
        quick().to_store(cohort(), tmp_path)
    with pytest.raises(ValueError, match="clinical"):
        quick().to_store(cohort(), tmp_path)


def test_other_versions_are_told(tmp_path, monkeypatch):
    quick().to_store(cohort(4)[:2], tmp_path)
    monkeypatch.setattr("nonredundant.extraction.extractor.__version__", "99.0")
    with pytest.warns(
        UserWarning, match=r"written with nonredundant .*now 99.0.*values may differ"
    ):
        quick().to_store(cohort(4), tmp_path)


def test_one_label_with_two_contents_is_refused(tmp_path):
    cases = cohort(4)
    extractor = quick(clinical=["age"])
    extractor.to_store(cases, tmp_path)
    for column, value in (("image", cases["image"].iloc[0] + 1), ("age", 99.0)):
        changed = cases.copy()
        changed.at["p2", column] = value
        with pytest.raises(ValueError, match=r"case 'p2' .*other voxels, geometry or clinical"):
            extractor.to_store(changed, tmp_path)
    quick().to_store(cases.reset_index(drop=True), tmp_path / "numbered")
    with pytest.raises(ValueError, match=r"case 0 .*label of its own"):
        quick().to_store(cases[2:].reset_index(drop=True), tmp_path / "numbered")


def test_another_file_under_one_label_is_refused(tmp_path):
    """Size and date of the files are the same, as in an archive with whole seconds."""
    cases = on_disk(cohort(2), tmp_path, suffix=".nii")
    for file in tmp_path.iterdir():
        os.utime(file, (1.7e9, 1.7e9))
    extractor = quick(root=tmp_path)
    extractor.to_store(cases, tmp_path / "store")
    cases.at["p1", "image"] = cases.at["p0", "image"]
    with pytest.raises(ValueError, match=r"case 'p1' .*other voxels"):
        extractor.to_store(cases, tmp_path / "store")


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_changed_voxels_beside_a_header_are_noticed(tmp_path, suffix):
    cases = on_disk(cohort(2), tmp_path, suffix=suffix)
    extractor = quick(root=tmp_path)
    extractor.to_store(cases, tmp_path / "store")
    voxels = next(one for one in tmp_path.glob("p1_image*") if one.suffix in (".raw", ".zraw"))
    content = bytearray(voxels.read_bytes())
    content[-8:] = bytes(8)
    voxels.write_bytes(content)
    with pytest.raises(ValueError, match=r"case 'p1' .*other voxels"):
        extractor.to_store(cases, tmp_path / "store")


def test_a_case_whose_file_is_gone_is_kept(tmp_path):
    cases = on_disk(cohort(3), tmp_path)
    extractor = quick(root=tmp_path, on_error="nan")
    first = extractor.to_store(cases[:2], tmp_path / "store")
    (tmp_path / "p0_image.nii.gz").unlink()
    with pytest.warns(UserWarning, match="1 cases are in the store .*'p0'.*kept"):
        table = extractor.to_store(cases, tmp_path / "store")
    assert (table.status == "ok").all()
    assert_same(first, table[:2])


def test_an_index_whose_name_is_no_text_is_refused_before_measuring(tmp_path):
    cases = cohort(2)
    cases.index.name = ("patient", "id")
    with pytest.raises(ValueError, match=r"has the name \('patient', 'id'\)"):
        quick().to_store(cases, tmp_path)


def test_failed_cases_have_a_status_and_are_tried_again(tmp_path, monkeypatch):
    cases = on_disk(cohort(4), tmp_path)
    (tmp_path / "p1_image.nii.gz").rename(tmp_path / "kept")
    extractor = quick(root=tmp_path, on_error="nan")
    with pytest.warns(UserWarning, match="1 of 4 cases failed"):
        expected = extractor.fit_transform(cases)
    with pytest.warns(UserWarning, match="1 of 4 cases failed.*p1_image"):
        table = extractor.to_store(cases, tmp_path / "store")
    assert_same(expected, table)
    assert table.status.iloc[1].startswith("unreadable")
    n_parts = len(list((tmp_path / "store" / "parts").iterdir()))
    with pytest.warns(UserWarning, match="1 of 1 cases failed"):
        extractor.to_store(cases, tmp_path / "store")
    assert len(list((tmp_path / "store" / "parts").iterdir())) == n_parts
    (tmp_path / "kept").rename(tmp_path / "p1_image.nii.gz")
    measured = counted(monkeypatch)
    table = extractor.to_store(cases, tmp_path / "store")
    assert len(measured) == 1
    assert_same(extractor.fit_transform(cases), table)


def test_an_error_keeps_the_cases_before_it(tmp_path, monkeypatch):
    cases = cohort(4)
    cases.at["p2", "mask"] = np.zeros((14, 14, 14), dtype=bool)
    with pytest.raises(ValueError, match="case 'p2'"):
        quick().to_store(cases, tmp_path, batch_size=4)
    assert LesionTable.open(tmp_path).index.tolist() == ["p0", "p1"]
    measured = counted(monkeypatch)
    quick().to_store(cohort(4), tmp_path)
    assert len(measured) == 2


def test_warnings_are_those_of_a_transform(tmp_path):
    def told(call):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            call()
        return sorted(str(one.message) for one in caught)

    cases = cohort(4)
    extractor = quick(bin_width=1.5, feature_classes=["firstorder", "glcm"])
    expected = told(lambda: extractor.fit_transform(cases))
    assert expected
    assert told(lambda: extractor.to_store(cases, tmp_path, batch_size=1)) == expected


@pytest.mark.parametrize("shard", [(1, 1), (-1, 2), (0.0, 2), 3, (0, 1, 2)])
def test_impossible_shards(tmp_path, shard):
    with pytest.raises(InvalidParameterError, match="shard must be the number of this writer"):
        quick().to_store(cohort(), tmp_path, shard=shard)


def test_foreign_and_changed_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no store"):
        LesionTable.open(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="no store of lesions"):
        LesionTable.open(tmp_path)
    with pytest.raises(ValueError, match="no store of lesions: it has no store.json, but 1"):
        quick().to_store(cohort(), tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        quick().to_store(cohort(), tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="LesionTable.load"):
        LesionTable.open(tmp_path / "notes.txt")
    store = tmp_path / "store"
    quick().to_store(cohort(), store)
    header = json.loads((store / "store.json").read_text())
    for change, message in (
        ({"version": 2}, "format 2, and this version"),
        ({"format": "another"}, "not the header"),
        ({"layout": {**header["layout"], "n_dim": 2}}, "checksum is wrong"),
    ):
        (store / "store.json").write_text(json.dumps(header | change))
        with pytest.raises(ValueError, match=message):
            LesionTable.open(store)
    (store / "store.json").write_text("{")
    with pytest.raises(ValueError, match=r"store.json is missing or damaged"):
        LesionTable.open(store)


@pytest.mark.parametrize("name", ["samples.parquet", "lesions.parquet", "patches", "masks"])
@pytest.mark.parametrize("kind", ["lost", "cut", "changed"])
def test_a_damaged_part_is_named_and_can_be_measured_again(tmp_path, name, kind):
    cases = cohort(4)
    quick().to_store(cases, tmp_path, batch_size=2)
    part = sorted((tmp_path / "parts").iterdir())[0]
    path = part / name
    if path.is_dir():
        path = next(path.glob("c.*"))
    if kind == "lost":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 255
        path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"{part.name}.*(missing or|are missing or) damaged"):
        np.asarray(getattr(LesionTable.open(tmp_path), name.split(".")[0], None))
    shutil.rmtree(part)
    assert_same(quick().fit_transform(cases), quick().to_store(cases, tmp_path))


def test_parts_of_other_settings_are_refused(tmp_path):
    quick().to_store(cohort(2), tmp_path / "one")
    quick(bin_width=0.2).to_store(cohort(4)[2:], tmp_path / "two")
    part = next((tmp_path / "two" / "parts").iterdir())
    part.rename(tmp_path / "one" / "parts" / part.name)
    with pytest.raises(ValueError, match="store with other settings"):
        LesionTable.open(tmp_path / "one")


def test_the_cache_of_cases_is_used(tmp_path, monkeypatch):
    extractor = quick(memory=tmp_path / "cache")
    table = extractor.fit_transform(cohort())
    measured = []
    monkeypatch.setattr(measurement, "measure_case", lambda *parts: measured.append(parts))
    assert_same(table, extractor.to_store(cohort(), tmp_path / "store"))
    assert not measured


def test_a_pickled_table_holds_paths(tmp_path):
    table = quick(patch_shape=(32, 32, 32)).to_store(cohort(4), tmp_path)
    content = pickle.dumps(table)
    assert len(content) < table.patches.nbytes / 10
    assert_same(table, pickle.loads(content))


def parts_of(folder):
    return sorted((folder / "parts").glob("0*"))


def test_a_deleted_part_is_named_and_measured_again(tmp_path):
    cases = cohort(4)
    quick().to_store(cases, tmp_path, batch_size=2)
    shutil.rmtree(parts_of(tmp_path)[1])
    with pytest.raises(ValueError, match=r"the part .*0001-000000002.* with 2 cases was deleted"):
        LesionTable.open(tmp_path)
    assert_same(quick().fit_transform(cases), quick().to_store(cases, tmp_path))
    LesionTable.open(tmp_path)


def test_parts_that_were_exchanged_are_noticed(tmp_path):
    quick().to_store(cohort(4), tmp_path, batch_size=2)
    one, other = parts_of(tmp_path)
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    with pytest.raises(ValueError, match=r"\.parquet is missing or damaged \(it(s| has)"):
        LesionTable.open(tmp_path)


@pytest.mark.parametrize("name", ["patches", "masks", "lesions.parquet"])
def test_files_of_two_parts_that_were_exchanged_are_noticed(tmp_path, name):
    quick().to_store(cohort(4), tmp_path, batch_size=2)
    one, other = (part / name for part in parts_of(tmp_path))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    with pytest.raises(ValueError, match=rf"{one}.* is missing or damaged"):
        LesionTable.open(tmp_path)


def test_chunks_of_equal_size_that_were_exchanged_are_noticed(tmp_path):
    quick().to_store(cohort(4), tmp_path, batch_size=2)
    one, other = (next((part / "masks").glob("c.*")) for part in parts_of(tmp_path))
    content, size = other.read_bytes(), one.stat().st_size
    # Of the same size, with a checksum of its own at the end.
    one.write_bytes(content[:1] * (size - 4) + content[-4:])
    told = f"{one} is missing or damaged .its checksum is not that of the file that was written"
    with pytest.raises(ValueError, match=told):
        LesionTable.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"zarr_format": 3, "shape": "x"}'])
@pytest.mark.parametrize("manifest", [True, False])
def test_a_damaged_header_of_an_array_is_one_error(tmp_path, text, manifest):
    quick().to_store(cohort(2), tmp_path, batch_size=2)
    (part,) = parts_of(tmp_path)
    (part / "patches" / "zarr.json").write_text(text)
    if not manifest:
        # A part of an earlier version, or of a writer that was killed, has none.
        (tmp_path / "manifests" / f"{part.name}.json").unlink()
    with pytest.raises(ValueError, match=r"patches.* (is|are) missing or damaged .*`to_store` ag"):
        np.asarray(LesionTable.open(tmp_path).patches)


def without_manifest(folder):
    """Write a store of one part without a manifest, and return the part."""
    quick().to_store(cohort(2), folder, batch_size=2)
    (part,) = parts_of(folder)
    (folder / "manifests" / f"{part.name}.json").unlink()
    return part


def test_an_array_that_unpickles_its_voxels_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    voxels = without_manifest(tmp_path) / "patches"
    shutil.rmtree(voxels)
    voxels.mkdir()
    header = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "compressor": None}
    header |= {"filters": [{"id": "pickle"}], "fill_value": None, "order": "C"}
    (voxels / ".zarray").write_text(json.dumps(header))
    (voxels / "0").write_bytes(pickle.dumps(Code()))
    with pytest.raises(ValueError, match="are missing or damaged"):
        np.asarray(LesionTable.open(tmp_path).patches)
    assert not (tmp_path / "ran").exists()


def test_an_array_that_claims_larger_chunks_is_refused_before_they_are_read(tmp_path):
    header = without_manifest(tmp_path) / "patches" / "zarr.json"
    content = json.loads(header.read_text())
    shape = content["chunk_grid"]["configuration"]["chunk_shape"]
    content["chunk_grid"]["configuration"]["chunk_shape"] = [10**6, *shape[1:]]
    header.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"it holds float32 in chunks of the shape \(1000000, 1"):
        np.asarray(LesionTable.open(tmp_path).patches)


@pytest.mark.parametrize("text", ["", "[]", '{"part": "x"}', '{"part": 1, "files": [1]}'])
def test_a_damaged_manifest_is_named(tmp_path, text):
    quick().to_store(cohort(2), tmp_path, batch_size=2)
    (path,) = (tmp_path / "manifests").iterdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{path.name} is missing or damaged"):
        LesionTable.open(tmp_path)


def test_what_file_browsers_and_network_drives_leave_is_ignored(tmp_path):
    def leave(folder):
        (folder / "@eaDir").mkdir()
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).touch()

    cases = cohort(4)
    leave(tmp_path)
    quick().to_store(cases[:2], tmp_path)
    for name in ("parts", "cohorts", "manifests"):
        leave(tmp_path / name)
    leave(parts_of(tmp_path)[-1])
    table = quick().to_store(cases, tmp_path)
    assert_same(quick().fit_transform(cases), table)
    assert len(LesionTable.open(tmp_path)) == 4


def test_case_tables_beyond_9999_have_numbers_of_their_own(tmp_path):
    quick().to_store(cohort(2), tmp_path)
    (tmp_path / "cohorts" / "0001").rename(tmp_path / "cohorts" / "9999")
    store = LesionStore(tmp_path)
    assert [store.cohort([str(i)]) for i in range(3)] == [10_000, 10_001, 10_002]
    assert store.cohort(["1"]) == 10_001


def test_a_full_disk_is_named_with_the_part(tmp_path):
    quick().to_store(cohort(2), tmp_path / "other")
    with small_disk(tmp_path / "disk", "200k") as folder:
        with pytest.raises(OSError, match=r"disk/store/\S+ could not be written: the disk is full"):
            quick(patch_shape=(64, 64, 64)).to_store(cohort(12), folder / "store", batch_size=4)
        assert not list((folder / "store" / "unfinished").iterdir())


def test_the_tables_of_a_store_are_read_once(tmp_path, monkeypatch):
    quick().to_store(cohort(2), tmp_path)
    lesions = LesionStore(tmp_path)
    numbers = [lesions.cohort([str(i)]) for i in range(4)]
    read = []
    monkeypatch.setattr(store_module, "_read_json", read.append)
    assert [lesions.cohort([str(i)]) for i in range(4)] == numbers
    assert len(read) <= 1
