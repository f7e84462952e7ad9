"""PET becomes SUV by what the header states, or is refused by what it lacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import circle, pydicom, write_contours, write_pet

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
