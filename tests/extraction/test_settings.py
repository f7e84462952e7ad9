"""Settings: presets, parameter files and single parameters, and which of them wins."""

from __future__ import annotations

import numpy as np
import pytest
from cases_for_tests import cohort

from nonredundant.extraction import RadiomicsExtractor
from nonredundant.radiomics import PRESETS, SOURCES, resolve_parameters


def test_single_parameters_win_over_settings_and_these_over_the_preset(tmp_path):
    assert resolve_parameters(modality="PET")["setting"] == PRESETS["PET"]
    settings = {"setting": {"binWidth": 7.0, "normalize": True}}
    merged = resolve_parameters(modality="CT", settings=settings)["setting"]
    assert merged == {**PRESETS["CT"], "binWidth": 7.0, "normalize": True}
    assert resolve_parameters(settings=settings, bin_width=2)["setting"]["binWidth"] == 2
    counted = resolve_parameters(modality="CT", bin_count=16, spacing="native")["setting"]
    assert counted["binCount"] == 16
    assert not {"binWidth", "resampledPixelSpacing"} & set(counted)
    for name, content in {
        "a.yaml": "setting:\n  binWidth: 7.0\nimageType:\n  Original: {}\n  LoG: {sigma: [2.0]}\n",
        "a.json": '{"setting": {"binWidth": 7.0}, '
        '"imageType": {"Original": {}, "LoG": {"sigma": [2.0]}}}',
    }.items():
        (tmp_path / name).write_text(content)
        read = resolve_parameters(settings=tmp_path / name)
        assert read["setting"] == {"binWidth": 7.0}
        assert read["imageType"] == {"Original": {}, "LoG": {"sigma": [2.0]}}


def test_spacing_is_one_to_three_numbers():
    def spacing(value):
        return resolve_parameters(spacing=value)["setting"]["resampledPixelSpacing"]

    assert spacing(2) == [2, 2, 2]
    assert spacing((1, 2)) == [1, 2, 0]
    assert spacing(np.array([1.0, 2.0, 3.0])) == [1, 2, 3]
    with pytest.raises(ValueError, match="1 to 3 numbers"):
        spacing((1, 2, 3, 4))


def test_every_preset_names_its_source_and_pet_never_bins_by_25():
    assert set(PRESETS) == set(SOURCES)
    assert all("doi" in source for source in SOURCES.values())
    assert 0.25 <= PRESETS["PET"]["binWidth"] <= 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"settings": {"setting": {"binWidht": 1}}}, "binWidht"),
        ({"settings": {"settings": {}}}, "got \\['settings'\\]"),
        ({"settings": {"featureClass": {"glxm": None}}}, "glxm"),
        ({"settings": {"setting": {"binWidth": "25"}}}, "'binWidth' of 'setting' is the text '25'"),
        ({"settings": {"setting": {"binWidth": "25,5"}}}, "the text '25,5'; .*decimal point"),
        ({"settings": {"setting": {"binWidth": None}}}, "'binWidth' of 'setting' has no value"),
        ({"settings": {"setting": {"binWidth": float("nan")}}}, "is nan, not a number"),
        ({"settings": {"setting": {"resegmentRange": ["-50", 50]}}}, "is the text '-50'"),
        ({"settings": {"setting": {"geometryTolerance": "1e-3"}}}, "is the text '1e-3'"),
        ({"image_types": {"LoG": {"sigma": ["1.0"]}}}, "'sigma' of 'LoG' is the text '1.0'"),
        ({"feature_classes": {"glcm": ["Homogeneity1"]}}, "removed .*'Homogeneity1'.*Inverse Diff"),
        ({"feature_classes": {"glcm": ["Id", "SumVariance"]}}, "removed .*equal to .*Cluster Ten"),
        ({"feature_classes": {"gldm": ["DependencePercentage"]}}, "always computes 1"),
        ({"feature_classes": {"firstorder": ["mean"]}}, "did you mean 'Mean'"),
        ({"settings": "nowhere.yaml"}, "no parameter file nowhere.yaml"),
        ({"image_types": ["Wavelets"]}, "Wavelets"),
        ({"image_types": []}, "image_types must be some of"),
        ({"feature_classes": "glcm"}, r"write \['glcm'\]"),
    ],
)
def test_settings_that_pyradiomics_does_not_know_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        resolve_parameters(**settings)


def test_a_parameter_file_runs_nothing(tmp_path):
    text = f"setting: !!python/object/apply:os.mkdir ['{tmp_path / 'ran'}']\n"
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"p\.yaml is neither YAML nor JSON"):
        resolve_parameters(settings=tmp_path / "p.yaml")
    assert not (tmp_path / "ran").exists()


def test_a_parameter_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "model.skops").write_bytes(b"PK\x03\x04\xfb\xff")
    message = "settings: .*model.skops is neither YAML nor JSON: .*; give a parameter file"
    with pytest.raises(ValueError, match=message):
        resolve_parameters(settings=tmp_path / "model.skops")


@pytest.mark.parametrize("modality", ["PET", "pet", "Pet"])
def test_a_modality_is_read_in_any_case_and_kept_as_given(modality):
    extractor = RadiomicsExtractor(modality, patch_shape=None, feature_classes=["firstorder"])
    table = extractor.fit_transform(cohort(1))
    assert extractor.get_params()["modality"] == modality
    assert table.provenance["modality"] == "PET"
    assert table.provenance["parameters"]["setting"] == PRESETS["PET"]
    assert resolve_parameters(modality=modality)["setting"] == PRESETS["PET"]


def test_an_unknown_modality_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"one of \['CT', 'MR', 'PET'\] or None, got 'US'"):
        resolve_parameters(modality="US")


def test_every_preset_is_a_modality_of_the_extractor():
    for modality in PRESETS:
        RadiomicsExtractor(modality).fit(cohort(1))


def test_deprecated_features_that_are_still_computed_stay_allowed():
    classes = {"firstorder": ["StandardDeviation"], "shape": ["Compactness1"]}
    assert resolve_parameters(feature_classes=classes)["featureClass"] == classes
