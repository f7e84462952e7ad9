"""A table of a store is the table of memory: selections, networks, comparison, audit, saving."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from cases_for_tests import assert_same, cohort, quick
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, compare_feature_sets
from nonredundant.lesions import LesionTable, stored_array
from nonredundant.lesions.measures import lesion_volumes, size_and_uptake
from nonredundant.metrics import redundancy_report
from nonredundant.models.baselines import PatchPCA

N = 24
# Spheres of a few sizes agree in some features.
pytestmark = pytest.mark.filterwarnings("ignore:.*features are constant")


@pytest.fixture(scope="module")
def here():
    return quick().fit_transform(cohort(N))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    quick().to_store(cohort(N), folder, batch_size=5)
    return LesionTable.open(folder)


def labels():
    return np.arange(N) % 2


@pytest.mark.parametrize(
    "key",
    [
        slice(2, 9),
        slice(None, None, -3),
        [3],
        [7, 1, 1, 23],
        np.arange(N) % 3 == 0,
        [],
        -1,
        np.array([20, 2]),
    ],
)
def test_selections(here, opened, key):
    assert_same(here[key], opened[key])
    assert not isinstance(opened[key].patches, np.ndarray)
    assert_same(here[key][:1], opened[key][:1])


def test_the_table_behaves_as_one_of_memory(here, opened):
    assert len(opened) == N
    assert opened.shape == here.shape
    assert repr(opened) == repr(here)
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(here))
    for one, other in zip(opened, here, strict=True):
        assert_same(other, one)
    pd.testing.assert_frame_equal(opened.to_frame(), here.to_frame())
    assert_same(
        LesionTable.concat([here[:3], here[9:]]), LesionTable.concat([opened[:3], opened[9:]])
    )
    assert_same(LesionTable.concat([here, here]), LesionTable.concat([opened, here]))
    assert_same(here.replace(masks=None)[:2].replace(masks=here[:2].masks), opened[:2])


def test_voxels_are_arrays_where_they_are_used(here, opened):
    for name in ("patches", "masks"):
        lazy, array = getattr(opened, name), getattr(here, name)
        assert lazy.shape == array.shape
        assert (lazy.ndim, lazy.size, lazy.nbytes) == (array.ndim, array.size, array.nbytes)
        assert lazy.dtype == array.dtype
        for key in (
            0,
            -1,
            slice(3, 7),
            [5, 2],
            np.arange(N) > 20,
            (slice(None), 0),
            ...,
            (3, 0, 1),
        ):
            np.testing.assert_array_equal(lazy[key], array[key])
        np.testing.assert_array_equal(lazy == array, np.ones(array.shape, bool))
        np.testing.assert_array_equal(lazy * 2, array * 2)
        np.testing.assert_array_equal(np.where(lazy, 1, 0), np.where(array, 1, 0))
        assert lazy.max() == array.max()
        assert lazy.reshape(N, -1).shape == (N, 512)
        np.testing.assert_array_equal(np.stack(list(lazy)), array)
        np.testing.assert_array_equal(lazy.astype(np.float64), array.astype(np.float64))
        with pytest.raises(IndexError):
            lazy[N]
        with pytest.raises(AttributeError, match="no attribute 'voxels'"):
            lazy.voxels  # noqa: B018


PAIRED = {
    "rows and channels": np.s_[[0, 1, 2], [0, 0, 0]],
    "one voxel of each lesion": np.s_[[2, 0, 1], 0, [1, 2, 3], [0, 1, 2], [3, 4, 5]],
    "lists apart": np.s_[[0, 1], 0, :, [3, 4]],
    "a row and a list": np.s_[1, :, [2, 3]],
    "a grid of rows": np.s_[np.array([[0, 1], [2, 2]])],
    "a slice and a list": np.s_[1:, 0, [2, 3]],
    "a mask of rows and lists": np.s_[np.array([True, False, True]), 0, [1, 2]],
    "negative": np.s_[[-1, 0], :, -1],
}


@pytest.mark.parametrize("name", PAIRED)
def test_indices_are_paired_as_by_numpy(here, opened, name):
    key = PAIRED[name]
    n = 3 if "mask" in name else len(here.patches)
    patches, stored = here[:n].patches, opened[:n].patches
    np.testing.assert_array_equal(stored[key], patches[key])


def test_voxels_are_selected_by_a_mask(here, opened):
    expected = here.patches[here.masks]
    np.testing.assert_array_equal(opened.patches[opened.masks], expected)
    np.testing.assert_array_equal(opened.patches[here.masks], expected)


def test_what_is_read_can_be_changed_without_changing_the_store(here, opened):
    opened.patches[0][:] = -1
    opened.patches[[0, 1]][:] = -1
    np.testing.assert_array_equal(opened.patches[0], here.patches[0])


def test_measures_of_voxels(here, opened):
    bare = {"features": pd.DataFrame(index=pd.RangeIndex(N))}
    one, two = here.replace(**bare), opened.replace(**bare)
    np.testing.assert_array_equal(lesion_volumes(one), lesion_volumes(two))
    pd.testing.assert_frame_equal(size_and_uptake(one), size_and_uptake(two))
    scores = [PatchPCA(2, random_state=0).fit_transform(table) for table in (here, opened)]
    np.testing.assert_array_equal(*scores)


def test_saving_reads_a_few_lesions_at_a_time(here, opened, tmp_path, monkeypatch):
    here.save(tmp_path / "here")
    monkeypatch.setattr(stored_array, "_BLOCK_BYTES", 4096)
    opened.save(tmp_path / "opened")
    assert_same(LesionTable.load(tmp_path / "opened"), here)
    assert_same(LesionTable.load(tmp_path / "opened", mmap=True), here)


def test_a_network_fitted_on_the_store_is_that_fitted_on_memory(here, opened):
    settings = {"dlr_size": 3, "max_epochs": 3, "batch_size": 8, "random_state": 0}
    one = NonRedundantCVAE(**settings).fit(here)
    two = NonRedundantCVAE(**settings).fit(opened)
    pd.testing.assert_frame_equal(one.history_, two.history_, check_exact=True)
    np.testing.assert_array_equal(one.transform(here), two.transform(opened))
    # The alignment of arrays in memory changes the last digit of sums.
    np.testing.assert_allclose(
        one.reconstruct(here[:3]), two.reconstruct(opened[:3]), rtol=1e-5, atol=1e-5
    )
    assert one.score(here) == two.score(opened)


def test_a_store_larger_than_the_cache_is_read_by_window(opened, here, monkeypatch):
    # Chunks of 64 small patches; every part of 5 cases is one.
    monkeypatch.setattr(stored_array, "CACHE_BYTES", 4 * opened.patches.chunk_bytes)
    monkeypatch.setattr(stored_array, "_CACHE", stored_array._ChunkCache())
    settings = {"dlr_size": 3, "max_epochs": 4, "batch_size": 8, "random_state": 0}
    model = NonRedundantCVAE(**settings).fit(opened)
    again = NonRedundantCVAE(**settings).fit(opened)
    pd.testing.assert_frame_equal(model.history_, again.history_, check_exact=True)
    other = NonRedundantCVAE(**settings).fit(here)
    # The same lesions in batches of another order.
    assert not model.history_["total"].equals(other.history_["total"])
    np.testing.assert_allclose(
        model.net_.module_.scaler.mean, other.net_.module_.scaler.mean, rtol=1e-6
    )
    np.testing.assert_allclose(model.transform(opened), model.transform(here), rtol=1e-4, atol=1e-4)


def test_pipelines_and_parallel_folds(here, opened):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    expected = cross_val_score(pipeline, here, labels(), cv=3)
    np.testing.assert_array_equal(cross_val_score(pipeline, opened, labels(), cv=3), expected)
    moved = joblib.Parallel(n_jobs=2)(joblib.delayed(_total)(opened[i::2]) for i in range(2))
    assert moved == [_total(here[i::2]) for i in range(2)]


def _total(table):
    return float(np.asarray(table.patches, dtype=np.float64).sum())


def test_comparison_and_audit(here, opened):
    settings = {
        "feature_sets": ("HCR", "HCR+DLR-MI"),
        "classifiers": {"LR": LogisticRegression()},
        "cv": 2,
        "n_repeats": 1,
        "baselines": False,
        "cvae": NonRedundantCVAE(dlr_size=2, max_epochs=1, random_state=0),
        "audit": False,
        "random_state": 0,
    }
    one = compare_feature_sets(here, labels(), **settings)
    two = compare_feature_sets(opened, labels(), **settings)
    pd.testing.assert_frame_equal(one.scores, two.scores)
    d = NonRedundantCVAE(dlr_size=2, max_epochs=1, output="dlr", random_state=0)
    tables = [
        redundancy_report(
            table.hcr.iloc[:, 2:].to_numpy(),
            d.fit_transform(table),
            methods=["dcor"],
            n_permutations=9,
            random_state=0,
        )
        for table in (here, opened)
    ]
    pd.testing.assert_frame_equal(*tables)
