"""The extractor at work: pipelines, cache, processes, several lesions, clinical columns."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import skops.io
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nonredundant.extraction import RadiomicsExtractor, dissemination_features
from nonredundant.io import CaseError, ImageFileError
from nonredundant.lesions import LesionTable
from nonredundant.patients import LesionPooling
from nonredundant.utils.validation import InvalidParameterError

STS = Path(os.environ.get("NONREDUNDANT_DATA", "")) / "sts"
SHAPE = (14, 14, 14)


def image_of(seed):
    """Return one lesion's image, uptake by seed, and its mask."""
    rng = np.random.default_rng(seed)
    grid = np.ogrid[-7:7, -7:7, -7:7]
    mask = sum(axis**2 for axis in grid) < rng.integers(12, 25)
    return rng.gamma(4, 0.3, SHAPE) * (1 + 3 * mask * rng.random()), mask


def cohort(n=4):
    """Return a case table of arrays with clinical columns."""
    pairs = [image_of(seed) for seed in range(n)]
    return pd.DataFrame(
        {
            "image": [image for image, _ in pairs],
            "mask": [mask for _, mask in pairs],
            "age": np.arange(n) + 50.0,
            "sex": ["f", "m"] * (n // 2) + ["f"] * (n % 2),
        },
        index=[f"p{i}" for i in range(n)],
    )


def on_disk(cases, folder):
    """Write the arrays as files and return the table of their paths."""
    paths = {"image": [], "mask": []}
    for label, row in cases.iterrows():
        for kind, found in paths.items():
            values = row[kind].astype(np.float32 if kind == "image" else np.uint8)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(folder / f"{label}_{kind}.nii.gz"))
            found.append(f"{label}_{kind}.nii.gz")
    return cases.assign(**paths)


def quick(**parameters):
    """Return an extractor with few features and small patches."""
    usual = {"bin_width": 0.1, "feature_classes": ["shape", "firstorder"], "patch_shape": (8, 8, 8)}
    return RadiomicsExtractor(**{**usual, **parameters})


@pytest.fixture
def calls(monkeypatch):
    """Count the calls of pyradiomics."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    found = []
    original = RadiomicsFeatureExtractor.execute

    def counted(self, image, *args, **kwargs):
        found.append(image.GetSize())
        return original(self, image, *args, **kwargs)

    monkeypatch.setattr(RadiomicsFeatureExtractor, "execute", counted)
    return found


def assert_same(one, two):
    """Raise unless two tables are bitwise equal."""
    pd.testing.assert_frame_equal(one.features, two.features, check_exact=True)
    for name in ("patches", "masks", "positions", "spacing", "sample"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.status.equals(two.status)


def test_a_table_of_arrays_images_or_paths_gives_the_same_lesions(tmp_path):
    cases = cohort().assign(image=lambda t: [image.astype(np.float32) for image in t["image"]])
    arrays = quick().fit_transform(cases)
    assert len(arrays) == 4
    assert arrays.patches.shape == (4, 1, 8, 8, 8)
    assert arrays.index.tolist() == ["p0", "p1", "p2", "p3"]
    files = on_disk(cases, tmp_path)
    assert_same(arrays, quick(root=tmp_path).fit_transform(files))
    absolute = files.assign(**{k: [tmp_path / p for p in files[k]] for k in ("image", "mask")})
    assert_same(arrays, quick().fit_transform(absolute))
    images = cases.assign(
        image=[sitk.GetImageFromArray(one) for one in cases["image"]],
        mask=[sitk.GetImageFromArray(one.astype(np.uint8)) for one in cases["mask"]],
    )
    assert_same(arrays, quick().fit_transform(images))


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


@pytest.mark.parametrize("mask", ["absent", "None"])
def test_whole_images_without_masks_in_2d(mask):
    rng = np.random.default_rng(0)
    images = [rng.gamma(4, 0.3, (12, 12)) for _ in range(3)]
    cases = pd.DataFrame({"image": images})
    if mask == "None":
        cases["mask"] = None
    extractor = quick(patch_shape=(12, 12), bin_width=0.05).fit(cases)
    table = extractor.transform(cases)
    np.testing.assert_allclose(table.patches[:, 0], np.array(images, dtype=np.float32))
    assert table.masks.all()
    assert (table.features["original_shape2D_PixelSurface"] == 144).all()
    assert list(extractor.get_feature_names_out()) == list(table.features.columns)
    assert table.positions.shape == (3, 2)


def test_2d_images_take_the_last_two_numbers_of_the_patch_shape():
    cases = pd.DataFrame({"image": [np.random.default_rng(0).random((20, 20))]})
    table = quick(patch_shape=(4, 8, 16), bin_width=0.01).fit_transform(cases)
    assert table.patches.shape == (1, 1, 8, 16)


def test_it_is_a_first_step_of_any_pipeline():
    cases = cohort(12)
    y = np.arange(12) % 2
    pipeline = make_pipeline(quick(patch_shape=None), StandardScaler(), LogisticRegression())
    scores = cross_val_score(pipeline, cases, y, cv=3)
    assert np.isfinite(scores).all()
    pipeline.set_output(transform="pandas")
    pipeline.fit(cases, y)
    names = pipeline[:-1].get_feature_names_out()
    assert names[0] == "original_shape_Elongation"
    assert isinstance(pipeline[:1].transform(cases), LesionTable)
    assert pipeline[:-1].transform(cases).shape == (12, len(names))
    assert "RadiomicsExtractor" in pipeline._repr_html_()


def test_a_grid_search_calls_pyradiomics_once_a_case(tmp_path, calls):
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
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    cases = cohort(4)
    extractor = quick(memory=tmp_path)
    counted = RadiomicsFeatureExtractor.execute

    def interrupted(self, *args, **kwargs):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RadiomicsFeatureExtractor, "execute", interrupted)
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


def several():
    """Return a case with three lesions in one mask, of two labels."""
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 24, 24), dtype=np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    mask[12:18, 12:18, 12:18] = 1
    mask[2:5, 15:20, 3:8] = 2
    return rng.gamma(4, 0.3, mask.shape) * (1 + (mask > 0)), mask


def test_each_component_is_a_lesion_of_its_patient():
    image, mask = several()
    single, one_mask = image_of(1)
    cases = pd.DataFrame({"image": [image, single], "mask": [mask, one_mask]}, index=["a", "b"])
    table = quick(lesions="components").fit_transform(cases)
    assert table.sample.tolist() == [0, 0, 1]
    volume = table.features["original_shape_VoxelVolume"].tolist()
    assert volume == [216, 64, one_mask.sum()]
    np.testing.assert_allclose(table.positions[:2], [[14.5] * 3, [3.5] * 3])
    assert table.index.tolist() == ["a", "b"]
    labels = quick(lesions="labels").fit_transform(cases)
    assert labels.features["original_shape_VoxelVolume"].tolist()[:2] == [280, 75]


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


def test_small_lesions_are_dropped_with_one_warning():
    image, mask = several()
    mask[20:21, 20:22, 20:22] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.warns(UserWarning, match="smaller than min_voxels.*1 dropped, 2 kept"):
        table = quick(lesions="components").fit_transform(cases)
    assert table.n_lesions == 2


def with_tiny_lesions():
    """Return a case with lesions of 216 and 64 voxels of 8 mm³, one of 4 and one of 1."""
    image, mask = several()
    mask[mask == 2] = 0
    mask[20:21, 20:22, 20:22] = 1
    mask[8, 20, 2] = 1
    cases = {"image": [image], "mask": [mask], "spacing": [2.0]}
    return pd.DataFrame(cases, index=["a"])


def quietly(cases, **parameters):
    """Extract without the warnings of tiny lesions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ". of . cases have lesions (smaller than|one voxel)")
        return quick(**parameters).fit_transform(cases)


@pytest.mark.parametrize(
    ("thresholds", "volumes"),
    [
        ({"min_voxels": 1, "min_volume": 32.1}, [1728, 512]),
        ({"min_voxels": 1, "min_volume": 32.0}, [1728, 512, 32]),
        ({"min_voxels": 65, "min_volume": 32.0}, [1728]),
        ({"min_voxels": 8, "min_volume": 513.0}, [1728]),
    ],
    ids=str,
)
def test_a_lesion_is_tiny_by_voxels_or_by_volume(thresholds, volumes):
    table = quietly(with_tiny_lesions(), lesions="components", **thresholds)
    assert table.features["original_shape_VoxelVolume"].tolist() == volumes
    assert (table.lesion_status == "ok").all()


def test_tiny_lesions_can_be_kept_with_shape_alone():
    cases = with_tiny_lesions()
    with pytest.warns(UserWarning) as caught:  # noqa: PT030
        table = quick(lesions="components", small_lesions="shape").fit_transform(cases)
    said = [str(one.message) for one in caught]
    assert any("which were dropped" in one and "1 dropped, 3 kept" in one for one in said)
    assert any("only shape was measured" in one and "1 of 3 lesions" in one for one in said)
    assert not any("cases lack features" in one for one in said)
    assert table.status.tolist() == ["ok"]
    assert table.lesion_status.tolist() == [
        "ok",
        "ok",
        "shape only: 4 voxels are fewer than min_voxels=8",
    ]
    alone = np.zeros((24, 24, 24), dtype=np.uint8)
    alone[20:21, 20:22, 20:22] = 1
    whole = quietly(cases.assign(mask=[alone]))
    shape = [name for name in table.columns if "_shape_" in name]
    others = [name for name in table.columns if "_firstorder_" in name]
    np.testing.assert_array_equal(table.features[shape].iloc[2], whole.features[shape].iloc[0])
    assert table.features[others].isna().to_numpy().tolist() == [
        [False] * len(others),
        [False] * len(others),
        [True] * len(others),
    ]
    np.testing.assert_array_equal(table.positions[2], whole.positions[0])
    assert table.masks.any(axis=(1, 2, 3, 4)).tolist() == [True, True, False]
    assert not table.patches[2].any()
    full = quietly(cases, lesions="components")
    np.testing.assert_array_equal(table.patches[:2], full.patches)
    found = dissemination_features(table).loc["a"]
    assert found[["n_lesions", "tmtv"]].tolist() == [3, pytest.approx(2.272)]
    assert np.isnan(found["tlg"])


def test_a_case_of_tiny_lesions_fails_unless_their_shape_is_kept():
    cases = with_tiny_lesions()
    parameters = {"lesions": "components", "min_volume": 1e4}
    message = r"all 4 lesions.*min_voxels=8 or min_volume=10000 mm³.*216 voxels, 1728 mm³"
    with pytest.raises(CaseError, match=message):
        quick(**parameters).fit_transform(cases)
    with pytest.warns(UserWarning, match="1 of 1 cases failed"):
        failed = quick(on_error="nan", **parameters).fit_transform(cases)
    assert failed.status.iloc[0].startswith("all 4 lesions")
    assert failed.lesion_status.tolist() == failed.status.tolist()
    kept = quietly(cases, small_lesions="shape", **parameters)
    assert kept.status.tolist() == ["ok"]
    assert kept.lesion_status.iloc[0] == "shape only: 1728 mm³ are less than min_volume=10000"
    assert kept.features["original_shape_VoxelVolume"].tolist() == [1728, 512, 32]


def test_a_mask_of_single_voxels_fails_whatever_becomes_of_tiny_lesions():
    image, mask = several()
    mask[:] = 0
    mask[[3, 9], [3, 9], [3, 9]] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.raises(CaseError, match="all 2 lesions.*extend in fewer than 2.*1 voxels"):
        quick(lesions="components", small_lesions="shape").fit_transform(cases)


def test_one_lesion_lost_in_resampling_does_not_cost_the_others():
    image, mask = several()
    mask[20:22, 20:22, 20:22] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    with pytest.warns(UserWarning, match="dropped.*1 dropped, 2 kept: pyradiomics cannot"):
        table = quick(lesions="components", spacing=2.0).fit_transform(cases)
    assert table.n_lesions == 2
    assert table.features.notna().all(axis=None)


def test_shape_alone_needs_the_shape_class():
    with pytest.raises(InvalidParameterError, match=r"needs the feature class 'shape'.*firstorder"):
        quick(feature_classes=["firstorder"], small_lesions="shape").fit(cohort(1))


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (b"1.2.840.10008.5.1.4.1.1.66.4", r"segmentation \(SEG\).*segimage2itkimage"),
        (b"1.2.840.10008.5.1.4.1.1.481.3", r"structure set \(RTSTRUCT\).*dcmrtstruct2nii"),
    ],
)
@pytest.mark.parametrize("place", ["file", "folder"])
def test_dicom_masks_that_are_no_voxels_say_how_to_convert_them(tmp_path, uid, said, place):
    uid += b"\0" * (len(uid) % 2)
    element = b"\x02\x00\x02\x00UI" + len(uid).to_bytes(2, "little") + uid
    version = b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01"
    length = b"\x02\x00\x00\x00UL\x04\0" + len(version + element).to_bytes(4, "little")
    (tmp_path / "mask").mkdir()
    path = tmp_path / "mask" / "1-1.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + length + version + element)
    source = path if place == "file" else path.parent
    cases = cohort(1).assign(mask=[source])
    with pytest.raises(ImageFileError, match=f"case 'p0'.*mask.* is a DICOM {said}.*that file"):
        quick().fit_transform(cases)


def test_dissemination_of_known_lesions():
    image, mask = several()
    cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["a"])
    table = quick(lesions="components").fit_transform(cases)
    found = dissemination_features(table).loc["a"]
    mean = table.features["original_firstorder_Mean"].to_numpy()
    assert found["n_lesions"] == 2
    assert found["tmtv"] == pytest.approx(0.28)
    assert found["tlg"] == pytest.approx(0.216 * mean[0] + 0.064 * mean[1])
    assert found["d_max"] == pytest.approx(11 * np.sqrt(3))
    with pytest.raises(ValueError, match="positions"):
        dissemination_features(table.replace(positions=None))
    with pytest.raises(ValueError, match="feature class 'shape'"):
        dissemination_features(quick(feature_classes=["firstorder"]).fit_transform(cases))


def test_dissemination_of_a_line_of_lesions():
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": [1e3, 5e3, 2e3],
            "original_firstorder_Mean": [1.0, 2.0, 3.0],
        }
    )
    places = np.array([[0.0, 0, 0], [10, 0, 0], [40, 0, 0]])
    table = LesionTable(frame, sample=[0, 0, 0], positions=places)
    found = dissemination_features(table).iloc[0].to_dict()
    assert found == {
        "n_lesions": 3, "tmtv": 8.0, "tlg": 17.0, "d_max": 40.0, "d_max_bulk": 30.0,
        "spread": 70.0, "spread_bulk": 40.0,
    }  # fmt: skip


def test_the_largest_lesions_that_tie_share_the_word():
    frame = pd.DataFrame({"original_shape_VoxelVolume": [5e3, 1e3, 5e3]})
    places = np.array([[0.0, 0, 0], [10, 0, 0], [40, 0, 0]])
    table = LesionTable(frame, sample=[0, 0, 0], positions=places)
    found = dissemination_features(table).iloc[0]
    assert found["d_max_bulk"] == 40
    assert found["spread_bulk"] == (10 + 40 + 30 + 40) / 2
    assert np.isnan(found["tlg"])


def test_dissemination_of_areas_in_2d():
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[2:6, 2:6], mask[12:18, 2:6] = 1, 1
    cases = pd.DataFrame({"image": [rng.gamma(4, 0.3, (20, 20))], "mask": [mask], "spacing": [5.0]})
    table = quick(lesions="components").fit_transform(cases)
    found = dissemination_features(table).iloc[0]
    assert found["tmtv"] == pytest.approx((16 + 24) * 0.25)
    mean = table.features["original_firstorder_Mean"]
    assert found["tlg"] == pytest.approx(24 * 0.25 * mean.iloc[0] + 16 * 0.25 * mean.iloc[1])
    assert found["d_max"] == pytest.approx(5 * 11)


def test_dissemination_of_many_patients_is_that_of_each():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, size=40)
    sample = np.repeat(np.arange(40), counts)
    values = rng.gamma(2, 500, (len(sample), 2))
    names = ["original_shape_VoxelVolume", "original_firstorder_Mean"]
    status = np.where(np.arange(40) == 7, "no such file", "ok")
    table = LesionTable(
        pd.DataFrame(values, columns=names),
        sample=sample,
        positions=rng.normal(size=(len(sample), 3)),
        status=status,
    )
    together = dissemination_features(table)
    each = pd.concat([dissemination_features(one) for one in table], ignore_index=True)
    np.testing.assert_allclose(together, each, rtol=1e-12)
    assert together.isna().all(axis=1).tolist() == (np.arange(40) == 7).tolist()
    assert together["n_lesions"].drop(7).tolist() == np.delete(counts, 7).tolist()


def test_dissemination_stands_between_pooled_and_clinical_columns():
    image, mask = several()
    single, one_mask = image_of(1)
    cases = pd.DataFrame(
        {"image": [image, single], "mask": [mask, one_mask], "age": [60.0, 70.0]}, index=["a", "b"]
    )
    pipeline = make_pipeline(
        quick(lesions="components", clinical=["age"]), LesionPooling("max", dissemination=True)
    ).set_output(transform="pandas")
    pooled = pipeline.fit_transform(cases)
    table = pipeline[0].transform(cases)
    names = [f"max__{name}" for name in table.columns_of("hcr")]
    spread = [f"dissemination__{name}" for name in dissemination_features(table)]
    assert pooled.columns.tolist() == [*names, *spread, "age"]
    np.testing.assert_array_equal(pooled[spread], dissemination_features(table))
    assert pooled["dissemination__d_max"].tolist() == [pytest.approx(11 * np.sqrt(3)), 0.0]
    lesions = pipeline[1].pool(table)
    assert lesions.columns_of("hcr") == [*names, *spread]
    np.testing.assert_array_equal(lesions.features, pooled)


def test_imputed_values_do_not_count_as_measured():
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": [5e3, 1e3, 2e3, 3e3],
            "original_firstorder_Mean": [2.0, 2.0, 2.0, 2.0],
        }
    )
    table = LesionTable(
        frame,
        sample=[0, 0, 1, 2],
        positions=np.zeros((4, 3)),
        status=["ok", "no such file", "ok"],
        lesion_status=["ok", "shape only: 5 voxels", "ok", "ok"],
    )
    found = dissemination_features(table)
    np.testing.assert_array_equal(found["tmtv"], [6.0, np.nan, 3.0])
    np.testing.assert_array_equal(found["tlg"], [np.nan, np.nan, 6.0])


def test_networks_do_not_learn_from_lesions_of_which_only_shape_is_known():
    from nonredundant.cvae import NonRedundantCVAE

    cases = pd.concat([with_tiny_lesions()] * 3, ignore_index=True)
    cases["image"] = [image * (1 + 0.1 * i) for i, image in enumerate(cases["image"])]
    full = quietly(cases, lesions="components")
    tiny = quietly(cases, lesions="components", small_lesions="shape")
    model = NonRedundantCVAE(dlr_size=2, max_epochs=2, random_state=0, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.fit(full).transform(full)
        found = model.fit(tiny).transform(tiny)
    measured = (tiny.lesion_status == "ok").to_numpy()
    assert measured.tolist() == [True, True, False] * 3
    np.testing.assert_array_equal(found.features[measured], expected.features)
    assert found.lesion_status.equals(tiny.lesion_status)


def test_dissemination_that_cannot_be_had_is_said_at_fit():
    frame = pd.DataFrame({"original_shape_VoxelVolume": [1.0, 2.0]})
    pooling = LesionPooling(dissemination=True)
    with pytest.raises(ValueError, match="needs the lesions' positions"):
        pooling.fit(LesionTable(frame))
    with pytest.raises(ValueError, match="feature class 'shape'"):
        pooling.fit(LesionTable(frame.set_axis(["size"], axis=1), positions=np.zeros((2, 3))))
    fitted = pooling.fit(LesionTable(frame, positions=np.zeros((2, 3))))
    with pytest.raises(ValueError, match="needs the lesions' positions"):
        fitted.transform(LesionTable(frame))


def test_clinical_columns_come_last_and_on_every_lesion():
    table = quick(clinical=["age"]).fit_transform(cohort())
    assert table.columns_of("clinical") == ["age"]
    assert table.features.columns[-1] == "age"
    assert table.features["age"].tolist() == [50.0, 51.0, 52.0, 53.0]


def test_a_clinical_transformer_is_fitted_on_the_training_cases_alone():
    columns = make_column_transformer(
        (StandardScaler(), ["age"]), (OneHotEncoder(sparse_output=True), ["sex"])
    )
    cases = cohort(4)
    extractor = quick(clinical=columns).fit(cases[:2])
    table = extractor.transform(cases)
    names = ["standardscaler__age", "onehotencoder__sex_f", "onehotencoder__sex_m"]
    assert table.columns_of("clinical") == names
    np.testing.assert_allclose(table.features[names[0]], [-1, 1, 3, 5])
    assert list(extractor.get_feature_names_out()[-3:]) == names
    assert not hasattr(columns, "transformers_")


def test_clones_copies_and_files_of_a_fitted_extractor_give_the_same(tmp_path):
    cases = cohort(2)
    extractor = quick(clinical=["age"], memory=str(tmp_path / "cache")).fit(cases)
    table = extractor.transform(cases)
    assert clone(extractor).get_params() == extractor.get_params()
    skops.io.dump(extractor, tmp_path / "model.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert all(name.startswith("nonredundant.") for name in untrusted)
    assert_same(skops.io.load(tmp_path / "model.skops", trusted=untrusted).transform(cases), table)
    joblib.dump(extractor, tmp_path / "model.joblib")
    assert_same(joblib.load(tmp_path / "model.joblib").transform(cases), table)


def test_without_a_clinical_transformer_no_fit_is_needed():
    cases = cohort(1)
    assert quick(clinical=["age"]).transform(cases).features["age"].tolist() == [50.0]


def test_the_source_of_numbers_is_kept_and_can_be_saved(tmp_path):
    table = quick(modality="PET", bin_width=None).fit_transform(cohort(1))
    assert table.provenance["modality"] == "PET"
    assert table.provenance["parameters"]["setting"]["binWidth"] == 0.25
    assert {"pyradiomics", "nonredundant"} <= set(table.provenance["versions"])
    table.save(tmp_path / "lesions.npz")
    assert LesionTable.load(tmp_path / "lesions.npz").provenance == table.provenance


def test_a_progress_bar_appears_when_asked(capsys):
    quick(verbose=1).fit_transform(cohort(2))
    assert "Extracting: 100%" in capsys.readouterr().err
    quick().fit_transform(cohort(2))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "parameters",
    [
        {"modality": "US"},
        {"bin_width": 0},
        {"bin_count": 1},
        {"patch_shape": (8, 8, 2)},
        {"patch_shape": (8,)},
        {"patch_spacing": "tight"},
        {"lesions": "all"},
        {"label": 0},
        {"on_error": "ignore"},
        {"min_voxels": 0},
        {"min_volume": 0},
        {"small_lesions": "keep"},
        {"memory": 3},
        {"clinical": "age"},
        {"image_types": "Original"},
        {"image_types": ["Wavelets"]},
        {"spacing": (1, 2, 3, 4)},
        {"settings": {"setting": {"binWidht": 1}}},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_named_at_fit(parameters):
    (name,) = parameters
    with pytest.raises(InvalidParameterError, match=f"{name}|binWidht"):
        quick(**parameters).fit(cohort(1))


@pytest.mark.skipif(not STS.is_dir(), reason="needs $NONREDUNDANT_DATA")
@pytest.mark.filterwarnings("ignore:.*touch the border")
def test_bin_width_25_on_suv_is_told_once_with_numbers():
    cases = pd.read_csv(STS / "cohort.csv", index_col="patient_id")[:6]
    with pytest.warns(UserWarning, match="bin_width") as caught:
        RadiomicsExtractor(bin_width=25, root=STS, patch_shape=None).fit_transform(cases)
    messages = [str(one.message) for one in caught if "bin_width" in str(one.message)]
    assert len(messages) == 1
    assert "bin_width=25" in messages[0]
    assert "6 of 6 lesions with fewer than 8 grey levels" in messages[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The discretisation")
        RadiomicsExtractor("PET", root=STS, patch_shape=None).fit_transform(cases)


@pytest.mark.skipif(not STS.is_dir(), reason="needs $NONREDUNDANT_DATA")
@pytest.mark.filterwarnings("ignore:.*touch the border")
def test_the_pet_preset_predicts_metastases_as_well_as_known():
    from sklearn.model_selection import RepeatedStratifiedKFold

    cases = pd.read_csv(STS / "cohort.csv", index_col="patient_id")
    y = cases["lung_metastasis"].to_numpy()
    table = RadiomicsExtractor("PET", root=STS, patch_shape=None).fit_transform(cases)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=0)
    auc = cross_val_score(model, table.features, y, cv=cv, scoring="roc_auc").mean()
    assert auc == pytest.approx(0.837, abs=0.03)
