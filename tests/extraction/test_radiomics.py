"""Values equal those of pyradiomics for the same settings, and its log is suppressed."""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from nonredundant.extraction import RadiomicsExtractor, radiomics
from nonredundant.extraction.settings import for_dimension
from nonredundant.radiomics import (
    compute_features,
    feature_names,
    quiet,
    resolve_parameters,
)

CASES = Path(os.environ.get("NONREDUNDANT_DATA", "")) / "pyradiomics_cases"
needs_data = pytest.mark.skipif(not CASES.is_dir(), reason="needs $NONREDUNDANT_DATA")


def phantom(n_dim=3, spacing=(0.8, 1.1, 2.5), seed=0):
    """Return a textured ball in noise, its mask and their table."""
    rng = np.random.default_rng(seed)
    shape = (18, 22, 26)[-n_dim:]
    axes = np.ogrid[tuple(slice(-n // 2, n // 2) for n in shape)]
    mask = sum((axis / (0.3 * n)) ** 2 for axis, n in zip(axes, shape, strict=True)) < 1
    image = sitk.GetImageFromArray(rng.gamma(4, 20, shape) + 200 * mask)
    image.SetSpacing(spacing[:n_dim])
    label = sitk.GetImageFromArray(mask.astype(np.uint8))
    label.CopyInformation(image)
    return image, label


def extract(image, mask, **parameters):
    """Return our features of one case."""
    cases = pd.DataFrame({"image": [image], "mask": [mask]})
    table = RadiomicsExtractor(patch_shape=None, **parameters).fit_transform(cases)
    return table.features.iloc[0]


def reference(image, mask, settings):
    """Return pyradiomics' own features."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    with quiet(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extractor = RadiomicsFeatureExtractor(settings)
        values = extractor.execute(image, mask)
    return pd.Series({k: float(v) for k, v in values.items() if not k.startswith("diagnostics")})


ALL_TYPES = {"Original": {}, "LoG": {"sigma": [1.0, 3.0]}, "Wavelet": {}}
PARITY = {
    "defaults": {},
    "bin width": {"setting": {"binWidth": 3.7}},
    "bin count": {"setting": {"binCount": 32}},
    "resampled": {"setting": {"binWidth": 10, "resampledPixelSpacing": [1.0, 1.0, 1.0]}},
    "normalised": {"setting": {"binWidth": 5, "normalize": True, "normalizeScale": 100}},
    "resegmented": {"setting": {"resegmentRange": [-2, 2], "resegmentMode": "sigma"}},
    "pre-cropped filters": {"setting": {"preCrop": True, "padDistance": 8}, "imageType": ALL_TYPES},
    "filters": {"setting": {"binWidth": 10}, "imageType": ALL_TYPES},
    "more filters": {"imageType": {"Square": {}, "SquareRoot": {}, "Gradient": {}}},
    "other distances": {"setting": {"distances": [1, 2], "weightingNorm": "euclidean"}},
    "named features": {"featureClass": {"shape": ["MeshVolume"], "glcm": ["Contrast", "Id"]}},
    "force2D": {
        "setting": {"force2D": True, "binWidth": 10},
        "featureClass": dict.fromkeys(["shape", "firstorder", "glcm", "glrlm", "glszm"]),
    },
}


def without_warnings_of_levels(call):
    """Run without the warning of grey levels, which these settings provoke on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The discretisation")
        return call()


@pytest.mark.parametrize("settings", PARITY.values(), ids=PARITY)
def test_values_are_those_of_pyradiomics_in_3d(settings):
    image, mask = phantom()
    ours = without_warnings_of_levels(lambda: extract(image, mask, settings=settings))
    theirs = reference(image, mask, settings)
    assert list(ours.index) == list(theirs.index)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"setting": {"binWidth": 10, "resampledPixelSpacing": [1.0, 1.0]}},
        {
            "setting": {"binWidth": 10},
            "imageType": {"Original": {}, "Wavelet": {}, "LoG": {"sigma": [2.0]}},
        },
    ],
    ids=["defaults", "resampled", "filters"],
)
def test_values_are_those_of_pyradiomics_in_2d(settings):
    image, mask = phantom(n_dim=2)
    ours = without_warnings_of_levels(lambda: extract(image, mask, settings=settings))
    theirs = reference(image, mask, settings)
    assert sorted(ours.index) == sorted(theirs.index)
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-9, atol=1e-12)
    assert "original_shape2D_Perimeter" in ours


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_bright_integers_are_measured_like_the_same_floats(dtype):
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    array = rng.integers(top - 150, top, (12, 12), endpoint=True).astype(dtype)
    mask = sitk.GetImageFromArray(np.ones(array.shape, dtype=np.uint8))
    parameters = resolve_parameters()
    found, expected = (
        compute_features(sitk.GetImageFromArray(one), mask, parameters)
        for one in (array, array.astype(np.float64))
    )
    assert found == expected


def test_a_2d_array_is_a_slice_of_unit_thickness():
    image, mask = phantom(n_dim=2, spacing=(0.8, 1.1))
    ours = extract(image, mask, bin_width=10)
    settings = {
        "setting": {"force2D": True, "binWidth": 10},
        "featureClass": dict.fromkeys(["shape2D", "firstorder", "glcm", "glszm", "ngtdm"]),
    }
    theirs = reference(sitk.JoinSeries(image), sitk.JoinSeries(mask), settings)
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-9, atol=1e-12)


def test_slices_as_3d_images_have_2d_shape():
    image, mask = phantom(n_dim=2, spacing=(0.8, 1.1))
    settings = {
        "setting": {"force2D": True, "binWidth": 10},
        "featureClass": dict.fromkeys(["shape2D", "firstorder"]),
    }
    ours = extract(sitk.JoinSeries(image), sitk.JoinSeries(mask), settings=settings)
    flat = extract(image, mask, bin_width=10, feature_classes=["shape", "firstorder"])
    np.testing.assert_allclose(ours[flat.index], flat, rtol=1e-9, atol=1e-12)


@needs_data
@pytest.mark.parametrize(
    ("name", "image_types"),
    [
        ("brain1", {"Original": {}, "LoG": {"sigma": [3.0]}}),
        ("brain2", {"Original": {}, "LoG": {"sigma": [3.0]}}),
        # The smallest: eight wavelet images of the others take long.
        ("breast1", ALL_TYPES),
    ],
)
def test_values_are_those_of_pyradiomics_on_its_own_cases(name, image_types):
    paths = [str(CASES / f"{name}_{part}.nrrd") for part in ("image", "label")]
    settings = {"setting": {"binWidth": 15}, "imageType": image_types}
    ours = without_warnings_of_levels(lambda: extract(*paths, settings=settings))
    theirs = reference(*paths, settings)
    np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-9, atol=1e-12)


def published():
    """Return class, column and case of each published baseline whose images are here."""
    found = []
    for path in sorted(CASES.glob("baseline_*.csv")):
        for column in pd.read_csv(path, index_col=0, nrows=0).columns:
            case = column.split("_")[0]
            if (CASES / f"{case}_image.nrrd").exists() and "shape2D" not in path.name:
                found.append((path.stem.removeprefix("baseline_"), column, case))
    return found


@needs_data
@pytest.mark.filterwarnings(
    "ignore:The discretisation",
    "ignore:.*of 1 lesions are constant",
    "ignore:1 of 1 cases have lesions whose volume on the grid",
)
@pytest.mark.parametrize(
    "setting_name",
    sorted({column.removeprefix(case) for _, column, case in published()}),
    ids=lambda name: name.strip("_") or "default",
)
@pytest.mark.parametrize("case", sorted({case for _, _, case in published()}))
def test_published_baselines(case, setting_name):
    kinds = [kind for kind, column, _ in published() if column == case + setting_name]
    baselines = [
        pd.read_csv(CASES / f"baseline_{kind}.csv", index_col=0)[case + setting_name]
        for kind in kinds
    ]
    setting = ast.literal_eval(baselines[0]["diagnostics_Configuration_Settings"])
    ours = extract(
        CASES / f"{case}_image.nrrd",
        CASES / f"{case}_label.nrrd",
        settings={"setting": setting, "featureClass": dict.fromkeys(kinds)},
    )
    for baseline in baselines:
        values = baseline[[not name.startswith("diagnostics") for name in baseline.index]]
        shared = [name for name in values.index if name in ours.index]
        assert len(shared) >= 5
        # pyradiomics' own regression test allows 3 %: the mesh of brain1 has changed by 0.1 %
        # since its baseline was made, and pyradiomics itself gives our values today.
        changed = {"original_shape_SurfaceVolumeRatio", "original_shape_SurfaceArea"}
        changed |= {"original_shape_MeshVolume", "original_shape_Sphericity"}
        rtol = [1e-3 if case == "brain1" and name in changed else 1e-6 for name in shared]
        error = (ours[shared] - values[shared].astype(float)).abs()
        assert (error <= np.array(rtol) * ours[shared].abs() + 1e-9).all()


@needs_data
@pytest.mark.filterwarnings("ignore:1 of 1 masks lie on another grid")
@pytest.mark.parametrize("case", ["brain1", "brain2", "breast1"])
def test_published_baselines_of_2d_shape(case):
    baseline = pd.read_csv(CASES / "baseline_shape2D.csv", index_col=0)[f"{case}_shape2D"]
    z = ast.literal_eval(baseline["diagnostics_Mask-corrected_BoundingBox"])[2]
    label = sitk.ReadImage(str(CASES / f"{case}_label.nrrd"))[:, :, z : z + 1]
    setting = ast.literal_eval(baseline["diagnostics_Configuration_Settings"])
    settings = {"setting": setting, "featureClass": {"shape2D": None}}
    ours = extract(CASES / f"{case}_image.nrrd", label, settings=settings)
    np.testing.assert_allclose(ours, baseline[ours.index].astype(float), rtol=1e-6)


def test_names_are_known_before_any_image_and_follow_the_dimension():
    parameters = resolve_parameters()
    assert len(feature_names(parameters)) == 107
    flat = feature_names(parameters, 2)
    assert len(flat) == 102
    assert "original_shape2D_MeshSurface" in flat
    filtered = resolve_parameters(image_types=["LoG"], feature_classes=["firstorder"])
    assert feature_names(filtered)[0] == "log-sigma-1-0-mm-3D_firstorder_10Percentile"
    with pytest.raises(ValueError, match="image type 'LBP2D' yields no features"):
        feature_names(resolve_parameters(image_types=["LBP2D"]))


@pytest.mark.parametrize("settings", [{"bin_width": 7.0}, {"bin_count": 24}])
def test_grey_levels_are_counted_as_pyradiomics_counts_them(settings):
    from radiomics import imageoperations

    image, mask = phantom()
    parameters = resolve_parameters(**settings)
    _, levels = compute_features(image, mask, parameters)
    inside = sitk.GetArrayFromImage(mask) == 1
    binned, _ = imageoperations.binImage(
        sitk.GetArrayFromImage(image), inside, **parameters["setting"]
    )
    n_levels, intensity_range = levels["original"]
    assert n_levels == binned[inside].max()
    values = sitk.GetArrayFromImage(image)[inside]
    assert intensity_range == pytest.approx(values.max() - values.min())


def test_quiet_restores_the_log_level():
    logger = logging.getLogger("radiomics")
    before = logger.level
    with quiet():
        assert not logging.getLogger("radiomics.glcm").isEnabledFor(logging.ERROR)
    assert logger.level == before
    with quiet(verbose=2):
        assert logging.getLogger("radiomics.glcm").isEnabledFor(logging.ERROR)


def test_pyradiomics_is_silent_in_worker_processes(tmp_path):
    script = """
        import numpy as np, pandas as pd
        from nonredundant import RadiomicsExtractor
        mask = np.zeros((10, 10, 10), dtype=bool)
        mask[2:8, 2:8, 2:8] = True
        images = [np.random.default_rng(i).normal(size=mask.shape) for i in range(3)]
        cases = pd.DataFrame({"image": images, "mask": [mask] * 3})
        RadiomicsExtractor(bin_width=0.1, n_jobs=2).fit_transform(cases)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert run.stderr == run.stdout == ""


def test_pyradiomics_logs_with_verbose_2(caplog):
    image, mask = phantom()
    extract(image, mask, bin_width=10)
    assert not caplog.records
    extract(image, mask, bin_width=10, verbose=2, plain_formulas=True)
    assert any("GLCM is symmetrical" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_small_integers_are_resampled_as_by_pyradiomics(dtype):
    """In their own type: what the interpolation overshoots is cut off."""
    limits = np.iinfo(dtype)
    noise = np.random.default_rng(0).integers(limits.min, limits.max, (12, 12, 12), endpoint=True)
    inside = np.zeros(noise.shape, dtype=np.uint8)
    inside[3:9, 3:9, 3:9] = 1
    case = [sitk.GetImageFromArray(one) for one in (noise.astype(dtype), inside)]
    setting = {"binCount": 16, "resampledPixelSpacing": [1, 1, 1.5], "interpolator": "sitkBSpline"}
    plain = RadiomicsFeatureExtractor(**setting, additionalInfo=False)
    plain.disableAllFeatures()
    plain.enableFeatureClassByName("firstorder")
    with quiet():
        expected = plain.execute(*case)
    parameters = resolve_parameters(
        settings={"setting": setting, "featureClass": {"firstorder": []}}
    )
    found, _ = compute_features(*case, parameters)
    # The plain bins of 8 bits overflow.
    names = [name for name in expected if "Entropy" not in name and "Uniformity" not in name]
    for name in names:
        assert found[name] == pytest.approx(float(expected[name]), rel=1e-9), name


def test_names_of_features_are_listed_without_a_word():
    code = """
from nonredundant.radiomics import feature_names, resolve_parameters
feature_names(resolve_parameters(bin_count=13, feature_classes=["firstorder"]))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout + found.stderr == ""


def test_threads_do_not_share_an_extractor():
    parameters = json.dumps(for_dimension(resolve_parameters(feature_classes=["shape"]), 3))
    both = threading.Barrier(2)

    def twice(_):
        both.wait()
        return [radiomics._extractor(parameters, False) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(twice, range(2))
    assert one[0] is one[1]
    assert one[0] is not two[0]
