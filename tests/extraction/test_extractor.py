"""The extractor: sources of images, pipelines, persistence and parameters."""

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
from cases_for_tests import (
    assert_same,
    cohort,
    on_disk,
    quick,
    quietly,
    with_tiny_lesions,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.extraction import RadiomicsExtractor
from nonredundant.lesions import LesionTable
from nonredundant.utils.validation import InvalidParameterError

STS = Path(os.environ.get("NONREDUNDANT_DATA", "")) / "sts"


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


def test_whole_images_without_masks_in_2d():
    rng = np.random.default_rng(0)
    images = [rng.gamma(4, 0.3, (12, 12)) for _ in range(3)]
    cases = pd.DataFrame({"image": images})
    extractor = quick(patch_shape=(12, 12), bin_width=0.05, whole_image=True).fit(cases)
    table = extractor.transform(cases)
    np.testing.assert_allclose(table.patches[:, 0], np.array(images, dtype=np.float32))
    assert table.masks.all()
    assert (table.features["original_shape2D_PixelSurface"] == 144).all()
    assert list(extractor.get_feature_names_out()) == list(table.features.columns)
    assert table.positions.shape == (3, 2)


def test_2d_images_take_the_last_two_numbers_of_the_patch_shape():
    cases = pd.DataFrame({"image": [np.random.default_rng(0).random((20, 20))]})
    table = quick(patch_shape=(4, 8, 16), bin_width=0.01, whole_image=True).fit_transform(cases)
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


def test_shape_alone_needs_the_shape_class():
    with pytest.raises(InvalidParameterError, match=r"needs the feature class 'shape'.*firstorder"):
        quick(feature_classes=["firstorder"], small_lesions="shape").fit(cohort(1))


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
def test_the_pet_preset_predicts_metastases_as_well_as_known():
    from sklearn.model_selection import RepeatedStratifiedKFold

    cases = pd.read_csv(STS / "cohort.csv", index_col="patient_id")
    y = cases["lung_metastasis"].to_numpy()
    table = RadiomicsExtractor("PET", root=STS, patch_shape=None).fit_transform(cases)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=0)
    auc = cross_val_score(model, table.features, y, cv=cv, scoring="roc_auc").mean()
    assert auc == pytest.approx(0.837, abs=0.03)
