"""Measurement of cases: cache, processes, interruption, and values that depend on one lesion."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import assert_same, cohort, image_of, on_disk, quick, several
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.extraction import RadiomicsExtractor, one_case
from nonredundant.io import CaseError


@pytest.fixture
def calls(monkeypatch):
    """Count the lesions that are measured."""
    found = []
    original = one_case.compute_features

    def counted(image, *args, **kwargs):
        found.append(image.GetSize())
        return original(image, *args, **kwargs)

    monkeypatch.setattr(one_case, "compute_features", counted)
    return found


def test_spacing_of_arrays_scales_volume_and_positions():
    cases = cohort(2)
    cases["spacing"] = [(1.0, 2.0, 3.0), 2.0]
    table = quick(bin_width=0.1).fit_transform(cases)
    voxels = [mask.sum() for mask in cases["mask"]]
    volume = table.features["original_shape_VoxelVolume"].to_numpy()
    np.testing.assert_allclose(volume, [6 * voxels[0], 8 * voxels[1]])
    centre = np.argwhere(cases["mask"].iloc[0]).mean(axis=0)
    np.testing.assert_allclose(table.positions[0], centre * [3.0, 2.0, 1.0])


def test_positions_are_physical_and_in_z_y_x():
    image, mask = image_of(0)
    one = sitk.GetImageFromArray(image)
    one.SetOrigin((100.0, 200.0, 300.0))
    label = sitk.GetImageFromArray(mask.astype(np.uint8))
    label.CopyInformation(one)
    table = quick().fit_transform(pd.DataFrame({"image": [one], "mask": [label]}))
    np.testing.assert_allclose(
        table.positions[0], np.argwhere(mask).mean(axis=0) + [300.0, 200.0, 100.0]
    )


def test_a_grid_search_measures_a_case_once(tmp_path, calls):
    cases = cohort(8)
    pipeline = make_pipeline(
        quick(memory=tmp_path / "cache"), StandardScaler(), LogisticRegression()
    )
    grid = {"logisticregression__C": [0.1, 0.3, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=4).fit(cases, np.arange(8) % 2)
    assert len(calls) == 8
    search.predict(cases)
    assert len(calls) == 8


def test_equal_cases_are_measured_once(tmp_path, calls):
    cases = cohort(2).loc[["p0", "p0", "p1"]].reset_index(drop=True)
    table = quick(memory=tmp_path).fit_transform(cases)
    assert len(calls) == 2
    np.testing.assert_array_equal(table.patches[0], table.patches[1])


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, calls, monkeypatch):
    cases = cohort(4)
    extractor = quick(memory=tmp_path)
    counted = one_case.compute_features

    def interrupted(*args, **kwargs):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(one_case, "compute_features", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extractor.fit_transform(cases)
    assert len(calls) == 2
    table = extractor.fit_transform(cases)
    assert len(calls) == 4
    assert_same(table, quick().fit_transform(cases))


def test_what_changes_the_numbers_is_measured_again(tmp_path, calls):
    cases = cohort(1)
    cache = joblib.Memory(tmp_path, verbose=0)
    quick(memory=cache).fit_transform(cases)

    def new_calls(table=cases, **parameters):
        before = len(calls)
        quick(memory=cache, **parameters).fit_transform(table)
        return len(calls) - before

    assert new_calls() == 0
    assert new_calls(n_jobs=1, on_error="nan", verbose=0) == 0
    assert new_calls(bin_width=0.2) == 1
    assert new_calls(patch_shape=(9, 8, 8)) == 1
    assert new_calls(patch_spacing=1.5) == 1
    assert new_calls(feature_classes=["shape"]) == 1
    assert new_calls(min_volume=1.0) == 1
    assert new_calls(small_lesions="shape") == 1
    image, mask = image_of(0)
    image[7, 7, 7] += 1e-6
    assert new_calls(cases.assign(image=[image])) == 1
    mask[0, 0, 0] = True
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "1 of 1 cases have lesions that touch")
        assert new_calls(cases.assign(mask=[mask])) == 1
    assert new_calls(cases.assign(spacing=[2.0])) == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*larger than the patch")
        assert new_calls(patch_spacing=0.5) == 1


def test_a_changed_file_is_measured_again_and_a_moved_one_is_not(tmp_path, calls):
    files = on_disk(cohort(2), tmp_path)
    extractor = quick(root=tmp_path, memory=tmp_path / "cache")
    extractor.fit_transform(files)
    (tmp_path / "p0_image.nii.gz").rename(tmp_path / "moved.nii.gz")
    files.loc["p0", "image"] = "moved.nii.gz"
    extractor.fit_transform(files)
    assert len(calls) == 2
    (tmp_path / "p1_image.nii.gz").write_bytes((tmp_path / "moved.nii.gz").read_bytes())
    extractor.fit_transform(files)
    assert len(calls) == 3


def test_any_number_of_processes_gives_the_same_bits(tmp_path):
    cases = on_disk(cohort(5), tmp_path)
    settings = {"setting": {"normalize": True, "binWidth": 0.1}, "imageType": {"Wavelet": {}}}
    parameters = {"root": tmp_path, "settings": settings, "bin_width": None}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The discretisation")
        one = quick(**parameters).fit_transform(cases)
        two = quick(n_jobs=2, memory=tmp_path / "cache", **parameters).fit_transform(cases)
        with joblib.parallel_config("threading", n_jobs=2):
            threads = quick(**parameters).fit_transform(cases)
    assert_same(one, two)
    assert_same(one, threads)


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_a_lesion_does_not_depend_on_its_neighbours():
    image, mask = several()
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    components = quick(lesions="components").fit_transform(cases)
    alone = np.zeros_like(mask)
    alone[2:6, 2:6, 2:6] = 1
    single = quick().fit_transform(cases.assign(mask=[alone]))
    np.testing.assert_array_equal(components.features.iloc[1], single.features.iloc[0])
    np.testing.assert_array_equal(components.patches[1], single.patches[0])
    np.testing.assert_array_equal(components.masks[1], single.masks[0])


@pytest.mark.filterwarnings("ignore:.*labels that are not measured")
def test_one_lesion_lost_in_resampling_does_not_affect_the_others():
    image, mask = several()
    mask[20:22, 20:22, 20:22] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.warns(
        UserWarning, match="dropped.*1 dropped, 2 kept: pyradiomics cannot.*grid of 2×2×2 mm"
    ):
        table = quick(lesions="components", spacing=2.0).fit_transform(cases)
    assert table.n_lesions == 2
    assert table.features.notna().all(axis=None)


def test_a_progress_bar_appears_when_asked(capsys):
    quick(verbose=1).fit_transform(cohort(2))
    assert "Extracting: 100%" in capsys.readouterr().err
    quick().fit_transform(cohort(2))
    assert capsys.readouterr() == ("", "")


def test_what_the_grid_of_the_features_does_to_a_mask_is_told():
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 40, 40), np.uint8)
    mask[19:22, 19:22, 19:22] = 1
    files = [sitk.GetImageFromArray(one) for one in (rng.normal(50, 20, mask.shape), mask)]
    for one in files:
        one.SetSpacing((0.3, 0.3, 0.3))
    cases = pd.DataFrame({"image": files[:1], "mask": files[1:]})
    message = "grid of 1×1×1 mm.*27 voxels of 0.3×0.3×0.3 mm.*spacing='native'"
    with pytest.raises(CaseError, match=message):
        quick(spacing=1.0).fit_transform(cases)
    image, _ = several()
    small = np.zeros(image.shape, np.uint8)
    small[3:6, 3:6, 3:6] = 1
    cases = pd.DataFrame({"image": [image], "mask": [small]})
    with pytest.warns(UserWarning, match=r"differs by more than 10 %.*1 of 1 lesions, up to [+-]"):
        table = quick(spacing=2.0).fit_transform(cases)
    assert abs(table.features["original_shape_VoxelVolume"][0] / 27 - 1) > 0.1


@pytest.mark.parametrize(("spacing", "grid"), [(3.0, "; the lesion .*1×1×1 mm.*"), (1.0, "")])
def test_the_fault_comes_before_what_is_told_of_the_grid(spacing, grid):
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[2:6, 2:6, 2:6] = True
    cells = {"image": [np.full((8, 8, 8), 5.0)], "mask": [mask], "spacing": [(spacing,) * 3]}
    with pytest.raises(ValueError, match=r"the image is constant, so .*\)" + grid + "$"):
        RadiomicsExtractor("MR", patch_shape=None).fit_transform(pd.DataFrame(cells))
