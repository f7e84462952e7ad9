"""PET becomes SUV by what the header states, or is refused by what it lacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import (
    circle,
    enhanced,
    group,
    mapping,
    pydicom,
    save,
    write_contours,
    write_pet,
)

from nonredundant.io import CaseError, read_image
from nonredundant.io.suv import suv_factor, to_suv

ACTIVITY = np.random.default_rng(0).gamma(9, 600, (6, 16, 16))
#: 370 MBq decay for one hour before the scan begins: SUV = activity * 70,000 g / dose left.
FACTOR = 70000 / (370e6 * 0.5 ** (3600 / 6586.2))


def converted(folder):
    return sitk.GetArrayFromImage(to_suv(read_image(folder)))


def test_activities_become_suv_of_the_dose_left_at_the_start(tmp_path):
    found = converted(write_pet(tmp_path / "a", ACTIVITY))
    np.testing.assert_allclose(found, ACTIVITY * FACTOR, rtol=1e-3)


def test_units_of_suv_are_left_alone(tmp_path):
    found = converted(write_pet(tmp_path / "a", ACTIVITY / 1000, units="GML"))
    np.testing.assert_allclose(found, ACTIVITY / 1000, rtol=1e-3)


def test_activities_corrected_to_the_injection_need_no_decay(tmp_path):
    found = converted(write_pet(tmp_path / "a", ACTIVITY, DecayCorrection="ADMIN"))
    np.testing.assert_allclose(found, ACTIVITY * 70000 / 370e6, rtol=1e-3)


def test_an_injection_before_midnight_belongs_to_the_day_before(tmp_path):
    times = {"SeriesTime": "003000", "AcquisitionTime": "003000"}
    times["RadiopharmaceuticalStartTime"] = "233000.00"
    found = converted(write_pet(tmp_path / "a", ACTIVITY, **times))
    np.testing.assert_allclose(found, ACTIVITY * FACTOR, rtol=1e-3)


def test_a_later_series_time_is_replaced_by_the_frame_reference_time(tmp_path):
    # A frame of 2 minutes that begins 10 minutes after the scan: its mean count rate is 60 s in,
    # less a fraction of a second.
    folder = write_pet(
        tmp_path / "a",
        ACTIVITY,
        SeriesTime="110000",
        AcquisitionTime="091000",
        FrameReferenceTime=660000.0,
        ActualFrameDuration=120000,
    )
    np.testing.assert_allclose(converted(folder), ACTIVITY * FACTOR, rtol=1e-3)


def test_counts_need_the_factor_of_the_vendor(tmp_path):
    header = pydicom.dcmread(write_pet(tmp_path / "a", ACTIVITY, units="CNTS") / "0.dcm")
    with pytest.raises(CaseError, match=r"counts \(CNTS\) without the vendor's factor"):
        suv_factor(header, "CNTS")
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x09, "DS", "2.5")
    assert suv_factor(header, "CNTS") == pytest.approx(2.5 * FACTOR)
    block.add_new(0x00, "DS", "0.001")
    assert suv_factor(header, "CNTS") == 0.001


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"PatientWeight": None}, r"lacks the weight of the patient \(0010,1030\)"),
        ({"RadionuclideTotalDose": None}, r"lacks the dose \(0018,1074\)"),
        ({"RadionuclideTotalDose": 370.0}, "is it in MBq"),
        ({"RadionuclideHalfLife": None}, "lacks the half-life"),
        ({"RadiopharmaceuticalStartTime": None}, "lacks the time of injection"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for ATTN"),
        ({"DecayCorrection": "NONE"}, "decay correction .* is NONE"),
        ({"SeriesTime": "100000"}, "no frame reference time"),
        ({"units": "PROPCPS"}, "units 'PROPCPS'"),
        ({"Modality": "CT"}, "the image is a CT"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_its_element(tmp_path, elements, said):
    folder = write_pet(tmp_path / "a", ACTIVITY, **elements)
    with pytest.raises(CaseError, match=said):
        converted(folder)


def test_one_command_takes_the_scanner_s_folder_and_the_planning_system_s_file(tmp_path):
    folder = write_pet(tmp_path / "a", ACTIVITY)
    disc = [circle((30.0, 30.0), 13.0, 3.0 * k) for k in range(1, 5)]
    write_contours(folder / "RS.dcm", [("GTV", disc)])
    cases = pd.DataFrame({"image": [folder], "mask": [folder]})
    table = quick(modality="PET", bin_width=None).fit_transform(cases)
    y, x = np.mgrid[0:64:4.0, 0:64:4.0]
    inside = (x - 30) ** 2 + (y - 30) ** 2 < 13**2
    expected = ACTIVITY[1:5, inside].mean() * FACTOR
    assert table.features["original_firstorder_Mean"].iloc[0] == pytest.approx(expected, rel=1e-3)


def test_values_without_units_that_are_no_suv_fail_their_case_alone():
    rng = np.random.default_rng(0)
    image, ball = rng.gamma(9, 0.5, (12, 12, 12)), np.zeros((12, 12, 12), bool)
    ball[3:9, 3:9, 3:9] = True
    cases = pd.DataFrame({"image": [image, image * 4000], "mask": [ball, ball]})
    with pytest.warns(UserWarning, match="no SUV"):
        table = quick(modality="PET", on_error="nan", bin_count=32, bin_width=None).fit_transform(
            cases
        )
    assert table.status.iloc[0] == "ok"
    assert table.status.iloc[1].startswith("these are no SUV: the image ranges from ")


# Times ---------------------------------------------------------------------------------------

START = "RadiopharmaceuticalStartTime"
START_DATE = "RadiopharmaceuticalStartDateTime"


def left_after(seconds, half_life=6586.2):
    """Return SUV for each Bq/ml of 370 MBq in 70 kg that decayed for some seconds."""
    return 70000 / (370e6 * 0.5 ** (seconds / half_life))


@pytest.mark.parametrize(
    ("elements", "seconds"),
    [
        # The scan begins at 09:00 on 1 January 2020.
        ({START_DATE: "20200101080000"}, 3600),
        ({START_DATE: "20200101080000.000000"}, 3600),
        ({START_DATE: "20200101080000+0100", "TimezoneOffsetFromUTC": "+0100"}, 3600),
        ({START_DATE: "20200101070000+0000", "TimezoneOffsetFromUTC": "+0100"}, 3600),
        ({START_DATE: "20200101070000", START: "070000"}, 7200),
        ({START_DATE: "20191231230000-0900", "TimezoneOffsetFromUTC": "+0000"}, 3600),
        ({START_DATE: "20200101133000+0530", "TimezoneOffsetFromUTC": "+0000"}, 3600),
        # The zone follows from the time that is stated twice.
        ({START_DATE: "20200101070000+0000"}, 3600),
        ({START_DATE: "20200101080000+0100", START: None}, 3600),
        ({START: "080030.5"}, 3569.5),
        ({START: "08"}, 3600),
        ({START: "0800"}, 3600),
        ({START: "08:00:00"}, 3600),
        ({"SeriesTime": "090000.75", "AcquisitionTime": "090000.75"}, 3600.75),
        ({"SeriesTime": "090000.75", "AcquisitionTime": "090000"}, 3600.75),
        ({START_DATE: "20200101080030", START: "0800"}, 3570),
        ({"AcquisitionTime": None, "AcquisitionDateTime": "20200101090000"}, 3600),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_times_are_read_with_fractions_days_and_zones(tmp_path, elements, seconds):
    found = converted(write_pet(tmp_path / "a", ACTIVITY, **elements))
    np.testing.assert_allclose(found, ACTIVITY * left_after(seconds), rtol=1e-4, atol=1e-3)
    factor = found.sum() / converted(write_pet(tmp_path / "b", ACTIVITY)).sum()
    assert factor == pytest.approx(left_after(seconds) / FACTOR, rel=1e-6)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({START_DATE: "20200101000000"}, r"two times of injection, .*00:00:00 .* and 08:00:00"),
        ({START_DATE: "20200101083000"}, "two times of injection"),
        ({START_DATE: "20200101000000", START: None}, "midnight exactly"),
        ({START: "000000", "SeriesTime": "010000"}, "midnight exactly"),
        ({START_DATE: "20200101080000+0000", START: None}, "stated in UTC"),
        ({START_DATE: "20190101080000"}, r"half-lives, expected 0 to 6; correct the times"),
        ({START: "093000"}, "23.5 h after the injection"),
        ({START_DATE: "20200101093000", START: "093000"}, r"-0\.5 h after the injection"),
        ({START: "nothing"}, "lacks the time of injection"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")
def test_times_that_contradict_or_are_lost_are_refused(tmp_path, elements, said):
    with pytest.raises(CaseError, match=said):
        converted(write_pet(tmp_path / "a", ACTIVITY, **elements))


ZIRCONIUM = {"RadionuclideHalfLife": 282240.0}


def test_the_limit_is_in_half_lives(tmp_path):
    days = {START_DATE: "20191228080000", START: None}
    found = converted(write_pet(tmp_path / "a", ACTIVITY, **ZIRCONIUM, **days))
    expected = ACTIVITY * left_after(4 * 86400 + 3600, 282240.0)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    with pytest.raises(CaseError, match=r"97\.0 h after the injection"):
        converted(write_pet(tmp_path / "b", ACTIVITY, **days))


def test_a_time_without_its_day_is_refused_if_the_tracer_lives_for_days(tmp_path):
    with pytest.raises(CaseError, match=r"without its day .* several days are possible"):
        converted(write_pet(tmp_path / "a", ACTIVITY, **ZIRCONIUM))


# Tracer, dose and weight ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("half_life", "nuclide", "said"),
    [
        (109.77, None, "that of F-18 in minutes; it must be in seconds \\(6586.2\\)"),
        (109.77, "^18^Fluorine", "F-18 in minutes"),
        (1.8295, "18F", "F-18 in hours"),
        (67.7, None, "Ga-68 in minutes"),
        (20.4, None, "C-11 in minutes"),
        (78.4, None, "Zr-89 in hours"),
        (3.27, "^89^Zirconium", "Zr-89 in days"),
        (4062.6, "^18^Fluorine", "is 4062.6 s, but that of F-18, .* is 6586.2 s"),
        (6588.0, "^18^Fluorine", None),
        (6586.2, None, None),
        (76.4, "^82^Rubidium", "half-lives, expected"),
        (5000.0, None, None),
        (6586200.0, None, "F-18 in milliseconds"),
        (2000.0, None, "is 2000 s, which is that of no nuclide of PET"),
    ],
)
def test_a_half_life_in_other_units_is_named(tmp_path, half_life, nuclide, said):
    elements = {"RadionuclideHalfLife": half_life}
    if nuclide:
        elements["RadionuclideCodeSequence"] = [group(CodeMeaning=nuclide)]
    folder = write_pet(tmp_path / "a", ACTIVITY, **elements)
    if said is None:
        expected = ACTIVITY * left_after(3600, half_life)
        np.testing.assert_allclose(converted(folder), expected, rtol=1e-3)
    else:
        with pytest.raises(CaseError, match=said):
            converted(folder)


def test_a_mouse_of_25_grams_has_suv(tmp_path):
    mouse = {"PatientWeight": 0.025, "RadionuclideTotalDose": 8e6}
    found = converted(write_pet(tmp_path / "a", ACTIVITY * 1000, **mouse))
    expected = ACTIVITY * 1000 * 25 / (8e6 * 0.5 ** (3600 / 6586.2))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"PatientWeight": 70000.0}, "weight .* is 70000 kg, .* in grams"),
        ({"RadionuclideTotalDose": 370e3}, r"makes 5.29e\+03 Bq/kg, .* in kBq"),
        ({"PatientWeight": 0.07}, "makes 5.29e.09 Bq/kg"),
        ({"RadiopharmaceuticalInformationSequence": "two"}, "2 radiopharmaceuticals"),
    ],
)
def test_dose_and_weight_that_do_not_fit_are_named(tmp_path, elements, said):
    two = elements.pop("RadiopharmaceuticalInformationSequence", None)
    folder = write_pet(tmp_path / "a", ACTIVITY, **elements)
    if two:
        change(folder, lambda one, k: one.RadiopharmaceuticalInformationSequence.append(group()))
    with pytest.raises(CaseError, match=said):
        converted(folder)


# Differences among slices --------------------------------------------------------------------


def change(folder, edit):
    """Change the header of each slice."""
    for k, path in enumerate(sorted(folder.iterdir())):
        one = pydicom.dcmread(path)
        edit(one, k)
        one.save_as(path)
    return folder


def factor_of(number):
    def edit(one, k):
        block = one.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", str(number if k else 2 * number))

    return edit


def injection(keyword, value):
    def edit(one, k):
        if k == 3:
            setattr(one.RadiopharmaceuticalInformationSequence[0], keyword, value)

    return edit


@pytest.mark.parametrize(
    ("units", "edit", "said"),
    [
        (
            "BQML",
            lambda one, k: setattr(one, "PatientWeight", 70 if k else 7),
            r"PatientWeight \(0010,1030\): 70(\.0)? \(5\), 7(\.0)? \(1\)",
        ),
        (
            "GML",
            lambda one, k: setattr(one, "PatientWeight", 70 if k else 7),
            "PatientWeight",
        ),
        ("GML", lambda one, k: setattr(one, "SUVType", "BW" if k else "LBM"), "SUVType"),
        ("BQML", injection("RadionuclideTotalDose", 3.7e7), r"RadionuclideTotalDose .*\(1\)"),
        ("BQML", injection("RadiopharmaceuticalStartTime", "073000"), "StartTime"),
        ("BQML", lambda one, k: setattr(one, "CorrectedImage", "DECY" if k else "ATTN"), "Corr"),
        ("BQML", lambda one, k: setattr(one, "SeriesTime", f"0{8 + k % 2}0000"), "SeriesTime"),
        ("CNTS", factor_of(0.001), r"SUV factor \(7053,xx00\): 0.001 \(5\), 0.002 \(1\)"),
    ],
)
def test_what_differs_among_slices_is_refused(tmp_path, units, edit, said):
    folder = change(write_pet(tmp_path / "a", ACTIVITY, units=units), edit)
    with pytest.raises(CaseError, match=f"differ in what is the same .*{said}"):
        converted(folder)


@pytest.mark.parametrize("other", ["GML", None])
def test_one_slice_of_other_units_is_refused(tmp_path, other):
    def edit(one, k):
        if k == 2 and other:
            one.Units = other
        elif k == 2:
            del one.Units

    folder = change(write_pet(tmp_path / "a", ACTIVITY), edit)
    with pytest.raises(CaseError, match=rf"Units \(0054,1001\): BQML \(5\), {other or 'none'}"):
        read_image(folder)


# Units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"SUVType": "LBM"}, "SUV are of type LBM"),
        ({"SUVType": "IBW"}, "SUV are of type IBW"),
        ({"SUVType": "BSA"}, "SUV are of type BSA"),
        ({"SUVType": "LBMJANMA"}, "SUV are of type LBMJANMA"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for ATTN"),
        ({"SUVType": "BW"}, None),
        ({"CorrectedImage": None}, None),
    ],
)
def test_stored_suv_are_by_body_weight_and_corrected(tmp_path, elements, said):
    folder = write_pet(tmp_path / "a", ACTIVITY / 1000, units="GML", **elements)
    if said is None:
        np.testing.assert_allclose(converted(folder), ACTIVITY / 1000, rtol=1e-3)
    else:
        with pytest.raises(CaseError, match=said):
            converted(folder)


def test_a_pet_without_units_or_another_image_is_refused(tmp_path):
    folder = change(write_pet(tmp_path / "a", ACTIVITY), lambda one, k: delattr(one, "Units"))
    with pytest.raises(CaseError, match="states no units"):
        converted(folder)
    change(folder, lambda one, k: setattr(one, "Modality", "NM"))
    with pytest.raises(CaseError, match="the image is a NM"):
        converted(folder)


STORED = np.round(ACTIVITY).astype("<u2")


def enhanced_pet(path, units, **elements):
    """Write an enhanced PET whose frames map stored values to units with a slope of 0.5."""
    drug = group(RadionuclideTotalDose=370e6, RadionuclideHalfLife=6586.2)
    drug.RadiopharmaceuticalStartDateTime = "20200101080000"
    header = {"RadiopharmaceuticalInformationSequence": [drug], "PatientWeight": 70.0}
    header |= {"DecayCorrectionDateTime": "20200101090000", "AttenuationCorrected": "YES"}
    header |= {"DecayCorrected": "YES", "Modality": "PT"}
    maps = [mapping(0.5, 0, units)] if units else None
    save(enhanced(STORED, [(3.0, 0)] * 6, mappings=maps, **{**header, **elements}), path)
    return path


@pytest.mark.parametrize(
    ("units", "elements", "factor"),
    [
        ("Bq/ml", {}, 0.5 * FACTOR),
        ("Bq/ml", {"DecayCorrectionDateTime": "20200101080000"}, 0.5 * left_after(0)),
        ("{SUVbw}g/ml", {}, 0.5),
        ("g/ml{SUVbw}", {}, 0.5),
    ],
)
def test_enhanced_pet_has_its_units_and_times_in_groups(tmp_path, units, elements, factor):
    path = enhanced_pet(tmp_path / "a.dcm", units, **elements)
    np.testing.assert_allclose(converted(path), STORED * factor, rtol=1e-6)


def test_units_are_those_of_the_scale_that_is_used(tmp_path):
    def edit(one, k):
        one.RealWorldValueMappingSequence = [mapping(0.001, 0, "{SUVbw}g/ml")]
        stored = np.frombuffer(one.PixelData, "<u2") * float(one.RescaleSlope)
        one.PixelData = np.round(stored).astype("<u2").tobytes()
        del one.RescaleSlope, one.RescaleIntercept

    folder = change(write_pet(tmp_path / "a", ACTIVITY), edit)
    np.testing.assert_allclose(converted(folder), ACTIVITY / 1000, atol=0.001)


@pytest.mark.parametrize(
    ("units", "elements", "said"),
    [
        (None, {}, "states no units"),
        ("{SUVlbm}g/ml", {}, "units '{SUVlbm}g/ml'"),
        ("1/s", {}, "units '1/s'"),
        ("Bq/ml", {"AttenuationCorrected": "NO"}, "not corrected for ATTN"),
        ("Bq/ml", {"DecayCorrected": "NO"}, "not corrected for DECY"),
        ("{SUVbw}g/ml", {"AttenuationCorrected": "NO"}, "not corrected for ATTN"),
        ("Bq/ml", {"PatientWeight": None}, "lacks the weight"),
        ("Bq/ml", {"DecayCorrectionDateTime": None}, "decay correction .* not stated"),
    ],
)
def test_enhanced_pet_that_cannot_be_converted_is_refused(tmp_path, units, elements, said):
    with pytest.raises(CaseError, match=said):
        converted(enhanced_pet(tmp_path / "a.dcm", units, **elements))
