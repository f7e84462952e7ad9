"""The size of a voxel is what the header states, or it is refused by name."""

from __future__ import annotations

import struct

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import (
    circle,
    enhanced,
    group,
    plane,
    save,
    write_contours,
    write_pet,
    write_stack,
)

from nonredundant.io import CaseError, n_dimensions, read_image, read_mask, read_spacing
from nonredundant.io.geometry import align_mask
from nonredundant.io.suv import to_suv

rng = np.random.default_rng(0)
STORED = rng.integers(0, 2000, (6, 10, 14)).astype("<u2")
VALUES = STORED.astype(np.float32)
MEDICAL = {"US": "6.1", "CR": "1", "DX": "1.1", "MG": "1.2", "XA": "12.1", "SC": "7"}


# DICOM ---------------------------------------------------------------------------------------


def radiograph(path, modality="DX", **elements):
    """Write a single image of 10 rows and 14 columns without a place in space."""
    uid = f"1.2.840.10008.5.1.4.1.1.{MEDICAL[modality]}"
    save(plane(STORED[0], uid, **{"Modality": modality, **elements}), path)
    return path


def region(x, y, units=3, tissue=1):
    return group(
        PhysicalDeltaX=x,
        PhysicalDeltaY=y,
        PhysicalUnitsXDirection=units,
        PhysicalUnitsYDirection=units,
        RegionSpatialFormat=tissue,
    )


@pytest.mark.parametrize("modality", ["CR", "DX", "MG", "XA"])
@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        # Rows first in the header, columns (x) first here.
        ({"ImagerPixelSpacing": [0.2, 0.3]}, (0.3, 0.2)),
        ({"PixelSpacing": [0.1, 0.15]}, (0.15, 0.1)),
        ({"PixelSpacing": [0.1, 0.15], "ImagerPixelSpacing": [0.2, 0.3]}, (0.15, 0.1)),
        (
            {"ImagerPixelSpacing": [0.2, 0.3], "EstimatedRadiographicMagnificationFactor": 2},
            (0.15, 0.1),
        ),
        ({"NominalScannedPixelSpacing": [0.2, 0.3]}, (0.3, 0.2)),
    ],
)
def test_a_radiograph_has_the_size_in_the_patient_or_on_the_detector(
    tmp_path, modality, elements, spacing
):
    path = radiograph(tmp_path / "a.dcm", modality, **elements)
    image = read_image(path)
    assert image.GetSize() == (14, 10)
    np.testing.assert_allclose(image.GetSpacing(), spacing)
    np.testing.assert_allclose(read_spacing(path), spacing)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED[0])


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([region(0.02, 0.03)], (0.2, 0.3)),
        ([region(0.02, -0.03)], (0.2, 0.3)),
        ([region(0.02, 0.03), region(0.5, 9.0, units=4, tissue=3)], (0.2, 0.3)),
        ([region(0.02, 0.03), region(0.02, 0.03)], (0.2, 0.3)),
    ],
)
def test_calibrated_ultrasound_has_the_size_of_its_regions(tmp_path, regions, spacing):
    path = radiograph(tmp_path / "a.dcm", "US", SequenceOfUltrasoundRegions=regions)
    np.testing.assert_allclose(read_image(path).GetSpacing(), spacing)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"SequenceOfUltrasoundRegions": [region(0.02, 0.03), region(0.04, 0.03)]}, "2 regions"),
        (
            {"SequenceOfUltrasoundRegions": [region(0.02, 0.03)], "PixelSpacing": [1, 1]},
            "states pixels of 1×1 mm, the ultrasound regions .* of 0.2×0.3 mm",
        ),
        ({"SequenceOfUltrasoundRegions": [region(0.02, 0.03, units=4)]}, "unknown"),
        ({"PixelAspectRatio": [1, 1]}, "unknown: the header has no PixelSpacing"),
        ({"PixelSpacing": [0, 0]}, "unknown"),
        ({"PixelSpacing": ["nan", 1]}, "unknown"),
        ({"PixelSpacing": [-1, 1]}, "unknown"),
        ({"PixelSpacing": [1e-6, 1e-6]}, "no size of a scan"),
        ({"PixelSpacing": [4000, 4000]}, "no size of a scan"),
        (
            {"ImagerPixelSpacing": [1, 1], "EstimatedRadiographicMagnificationFactor": 0},
            "is 0, which is no magnification",
        ),
        ({}, "column 'spacing'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_pixels_without_a_size_are_refused(tmp_path, elements, said):
    path = radiograph(tmp_path / "a.dcm", "US", **elements)
    with pytest.raises(CaseError, match=said):
        read_image(path)
    with pytest.raises(CaseError, match=said):
        read_spacing(path)


def test_a_cell_supplies_the_size_that_the_header_lacks(tmp_path):
    path = radiograph(tmp_path / "a.dcm")
    assert read_image(path, spacing=(0.2, 0.3)).GetSpacing() == (0.2, 0.3)
    assert read_spacing(path, spacing=0.5).tolist() == [0.5, 0.5]
    folder = write_stack(tmp_path / "b", STORED)
    for file in folder.iterdir():
        one = plane(STORED[0])
        one.update(_dataset(file))
        del one.PixelSpacing
        save(one, file)
    with pytest.raises(CaseError, match="size of the voxels is unknown"):
        read_image(folder)
    assert read_image(folder, spacing=(0.9, 0.8, 2)).GetSpacing() == (0.9, 0.8, 2.0)
    # The distance of the slices is stated by their positions.
    with pytest.raises(CaseError, match=r"is 0.9×0.8×3 mm, but .* states \?×\?×2 mm"):
        read_image(folder, spacing=(0.9, 0.8, 3))


def _dataset(file):
    from dicom_for_tests import pydicom

    return pydicom.dcmread(file)


def test_frames_without_a_pixel_size_are_refused(tmp_path):
    one = enhanced(STORED, [(1, 0)] * 6)
    del one.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    save(one, tmp_path / "a.dcm")
    with pytest.raises(CaseError, match="size of the voxels is unknown"):
        read_image(tmp_path / "a.dcm")
    assert read_image(tmp_path / "a.dcm", spacing=(1, 1, 2)).GetSpacing() == (1.0, 1.0, 2.0)


# Images in two dimensions --------------------------------------------------------------------

INSIDE = np.zeros((10, 14), np.uint8)
INSIDE[3:8, 4:11] = 1
EXPECTED = STORED[0][INSIDE > 0].mean()


def measured(image, mask, **extra):
    """Return mean and area of one case, and its patch."""
    cases = pd.DataFrame({"image": [image], "mask": [mask]}, index=["a"])
    parameters = {
        "feature_classes": ["firstorder", "shape2D"],
        "patch_shape": (8, 8),
        "bin_width": 100,
    }
    parameters |= extra
    table = quick(**parameters).fit_transform(cases)
    mean = table.features["original_firstorder_Mean"].iloc[0]
    return mean, table.features["original_shape2D_PixelSurface"].iloc[0], table.patches


def slice_file(path, **elements):
    one = plane(STORED[0], PixelSpacing=[0.8, 0.9], **elements)
    one.ImagePositionPatient, one.ImageOrientationPatient = [5, 6, 7], [1, 0, 0, 0, 1, 0]
    save(one, path)
    return path


def masks_of_a_slice(folder):
    """Make the mask of a slice as files of each kind."""
    (folder / "masks").mkdir()
    flat = sitk.GetImageFromArray(INSIDE)
    sitk.WriteImage(flat * 255, str(folder / "masks/m.png"))
    flat.SetSpacing((0.9, 0.8))
    sitk.WriteImage(flat, str(folder / "masks/flat.nii.gz"))
    solid = sitk.GetImageFromArray(INSIDE[None])
    solid.SetSpacing((0.9, 0.8, 5))
    solid.SetOrigin((5, 6, 7))
    sitk.WriteImage(solid, str(folder / "masks/solid.nii.gz"))
    sitk.WriteImage(sitk.Flip(solid, (False, True, False)), str(folder / "masks/flipped.nrrd"))
    drawn = circle((5 + 0.9 * 7, 6 + 0.8 * 5), 3, 7)
    write_contours(folder / "masks/RS.dcm", [("GTV", [drawn])])
    return folder / "masks"


@pytest.mark.parametrize("mask", ["array", "m.png", "flat.nii.gz", "solid.nii.gz", "flipped.nrrd"])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.filterwarnings("ignore:1 of 1 masks lie on another grid")
def test_a_dicom_file_of_one_frame_is_an_image_in_two_dimensions(tmp_path, mask, folder):
    masks = masks_of_a_slice(tmp_path)
    (tmp_path / "image").mkdir()
    path = slice_file(tmp_path / "image/a.dcm")
    path = path.parent if folder else path
    assert n_dimensions(path) == 2
    mask = INSIDE if mask == "array" else masks / mask
    label = 255 if str(mask).endswith("png") else 1
    mean, area, patches = measured(path, mask, label=label)
    assert mean == pytest.approx(EXPECTED)
    assert area == pytest.approx(35 * 0.9 * 0.8)
    assert patches.shape == (1, 1, 8, 8)


def test_contours_are_drawn_on_a_single_slice(tmp_path):
    masks = masks_of_a_slice(tmp_path)
    mean, area, _ = measured(slice_file(tmp_path / "a.dcm"), masks / "RS.dcm")
    y, x = np.mgrid[:10, :14]
    inside = (0.9 * (x - 7)) ** 2 + (0.8 * (y - 5)) ** 2 < 9
    assert mean == pytest.approx(STORED[0][inside].mean())
    assert area == pytest.approx(inside.sum() * 0.72)


def test_a_converted_pet_keeps_its_place(tmp_path):
    masks = masks_of_a_slice(tmp_path)
    pet = write_pet(tmp_path / "pet", STORED[:1] * 3.0)
    image = to_suv(read_image(pet))
    assert image.GetMetaData("0054|1001") == "GML"
    solid = sitk.ReadImage(str(masks / "solid.nii.gz"))
    solid.SetSpacing((4, 4, 3))
    solid.SetOrigin((0, 0, 0))
    found, note = align_mask(solid, image)
    assert note is None
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), INSIDE)
    drawn = [circle((20.0, 16.0), 9.0, 0.0)]
    other = write_contours(tmp_path / "RS.dcm", [("GTV", drawn)], frame="1.2.3.99")
    with pytest.raises(CaseError, match="another frame of reference"):
        read_mask(other, image)


def test_a_mask_on_another_slice_is_outside(tmp_path):
    solid = sitk.GetImageFromArray(INSIDE[None])
    solid.SetSpacing((0.9, 0.8, 5))
    solid.SetOrigin((5, 6, 47))
    image = read_image(slice_file(tmp_path / "a.dcm"))
    with pytest.raises(CaseError, match="labels lie outside the image"):
        align_mask(solid, image)
    with pytest.raises(CaseError, match="give a mask of the image's size"):
        align_mask(sitk.GetImageFromArray(INSIDE[:5]), image)


def test_pixels_of_a_mask_belong_to_those_of_a_radiograph(tmp_path):
    # A mask saved by a program that took the size on the detector.
    path = radiograph(tmp_path / "a.dcm", PixelSpacing=[0.1, 0.1], ImagerPixelSpacing=[0.2, 0.2])
    solid = sitk.GetImageFromArray(INSIDE[None])
    solid.SetSpacing((0.2, 0.2, 1))
    sitk.WriteImage(solid, str(tmp_path / "m.nii.gz"))
    mean, area, _ = measured(path, tmp_path / "m.nii.gz")
    assert mean == pytest.approx(EXPECTED)
    assert area == pytest.approx(0.35)


def test_an_enhanced_file_of_one_frame_is_an_image_in_two_dimensions(tmp_path):
    save(enhanced(STORED[:1], [(2.0, 5.0)]), tmp_path / "a.dcm")
    image = read_image(tmp_path / "a.dcm")
    assert image.GetSpacing() == (0.9, 0.8)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED[0] * 2.0 + 5)
    save(enhanced(STORED, [(2.0, 5.0)] * 6), tmp_path / "b.dcm")
    assert [n_dimensions(tmp_path / one) for one in ("a.dcm", "b.dcm")] == [2, 3]


def test_an_enhanced_radiograph_has_no_place_but_a_size(tmp_path):
    one = enhanced(STORED[:1], [(2.0, 5.0)], Modality="XA", ImagerPixelSpacing=[0.2, 0.3])
    del one.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    save(one, tmp_path / "a.dcm")
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_allclose(image.GetSpacing(), (0.3, 0.2))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED[0] * 2.0 + 5)


# NIfTI ---------------------------------------------------------------------------------------


def nifti(path, edits=(), spacing=(2.0, 3.0, 4.0), values=VALUES):
    """Write a NIfTI file and overwrite bytes of its header."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    content = bytearray(path.read_bytes())
    for start, code in edits:
        content[start : start + len(code)] = code
    path.write_bytes(content)
    return path


def real(*values):
    return struct.pack(f"<{len(values)}f", *values)


NO_SFORM = (254, struct.pack("<h", 0))
NO_MAPS = (252, struct.pack("<2h", 0, 0))
NO_QFORM = (252, struct.pack("<h", 0))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -4.0])
@pytest.mark.parametrize("maps", [(), (NO_MAPS,), (NO_SFORM,)])
def test_a_nifti_without_a_size_is_refused_and_a_cell_supplies_it(tmp_path, value, maps):
    path = nifti(tmp_path / "a.nii", [(88, real(value)), *maps])
    with pytest.raises(CaseError, match=r"voxels is unknown: .* 2×3×.* \(pixdim\)"):
        read_image(path)
    with pytest.raises(CaseError, match="unknown"):
        read_spacing(path)
    assert read_image(path, spacing=(2, 3, 5)).GetSpacing() == (2.0, 3.0, 5.0)
    assert read_spacing(path, spacing=(2, 3, 5)).tolist() == [2, 3, 5]
    with pytest.raises(CaseError, match="spacing of the case is 1×3×5 mm"):
        read_image(path, spacing=(1, 3, 5))
    labels = np.repeat(INSIDE[None], 6, axis=0)
    mask = nifti(tmp_path / "m.nii", [(88, real(value)), *maps], values=labels)
    with pytest.raises(CaseError, match="voxels of the mask is unknown"):
        read_mask(mask, read_image(VALUES[:5]))
    # A mask beside an image with the same fault takes the size that is given for the image.
    image = read_image(path, spacing=(2, 3, 5))
    assert read_mask(mask, image).GetSpacing() == (2.0, 3.0, 5.0)


@pytest.mark.parametrize(
    ("units", "spacing", "expected"),
    [(0, (2, 3, 4), (2, 3, 4)), (2, (2, 3, 4), (2, 3, 4)), (1, (2e-3, 3e-3, 4e-3), (2, 3, 4)),
     (3, (200, 300, 400), (0.2, 0.3, 0.4)), (1, (4, 4, 4), None), (3, (2, 3, 4), None),
     (0, (2e-3, 3e-3, 4e-3), None), (2, (2000, 3000, 4000), None)],
)  # fmt: skip
def test_units_of_a_nifti_are_converted_or_told(tmp_path, units, spacing, expected):
    path = nifti(tmp_path / "a.nii", [(123, bytes([units]))], spacing=spacing)
    if expected is None:
        with pytest.raises(CaseError, match="no size of a scan .*correct the header"):
            read_image(path)
    else:
        np.testing.assert_allclose(read_image(path).GetSpacing(), expected, rtol=1e-6)
        np.testing.assert_allclose(read_spacing(path), expected, rtol=1e-6)


def test_a_nifti_that_states_two_sizes_is_refused(tmp_path):
    rows = struct.unpack_from("<12f", nifti(tmp_path / "a.nii").read_bytes(), 280)
    changed = (280, real(*rows[:10], 2 * rows[10], rows[11]))
    with pytest.raises(CaseError, match=r"2×3×4 \(pixdim\) and of 2×3×8 \(sform\)"):
        read_image(nifti(tmp_path / "b.nii", [changed, NO_QFORM]))
    # A map to an atlas may stretch; the size in the scanner is that of the qform.
    atlas = nifti(tmp_path / "c.nii", [changed, (254, struct.pack("<h", 4))])
    assert read_image(atlas).GetSpacing() == (2.0, 3.0, 4.0)


# Text headers --------------------------------------------------------------------------------


def nrrd(path, *lines):
    """Write a NRRD file of 14 x 10 x 6 voxels with these fields."""
    fields = ["NRRD0005", "type: float", "dimension: 3", "sizes: 14 10 6", "endian: little"]
    text = "\n".join([*fields, "encoding: raw", *lines]) + "\n\n"
    path.write_bytes(text.encode() + VALUES.tobytes())
    return path


def meta(path, *lines):
    """Write a MetaImage file of 14 x 10 x 6 voxels with these fields."""
    fields = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "DimSize = 14 10 6"]
    end = ["ElementType = MET_FLOAT", "ElementDataFile = LOCAL"]
    path.write_bytes("\n".join([*fields, *lines, *end, ""]).encode() + VALUES.tobytes())
    return path


SPACE = ("space: left-posterior-superior", "space origin: (1,2,3)")
AXES = "space directions: (2,0,0) (0,3,0) (0,0,4)"


@pytest.mark.parametrize(
    ("write", "name", "lines", "expected"),
    [
        (nrrd, "a.nrrd", ["spacings: 2 3 4"], (2, 3, 4)),
        (nrrd, "a.nrrd", ["spacings: 2 3 4", 'units: "mm" "mm" "mm"'], (2, 3, 4)),
        (nrrd, "a.nrrd", ["spacings: 2 3 4", 'units: "millimeter" "mm" "mm"'], (2, 3, 4)),
        (nrrd, "a.nrrd", ["spacings: .2 .3 .4", 'units: "cm" "cm" "cm"'], (2, 3, 4)),
        (nrrd, "a.nrrd", [*SPACE, AXES], (2, 3, 4)),
        (nrrd, "a.nrrd", [*SPACE, AXES, 'space units: "mm" "mm" "mm"'], (2, 3, 4)),
        (
            nrrd,
            "a.nrrd",
            [*SPACE, "space directions: (.2,0,0) (0,.3,0) (0,0,.4)", 'space units: "cm" "cm" "cm"'],
            (2, 3, 4),
        ),
        (meta, "a.mha", ["ElementSpacing = 2 3 4"], (2, 3, 4)),
        (meta, "a.mha", ["ElementSize = 2 3 4"], (2, 3, 4)),
        (meta, "a.mha", ["ElementSpacing = 2 3 4", "DistanceUnits = mm"], (2, 3, 4)),
        (meta, "a.mha", ["ElementSpacing = .2 .3 .4", "DistanceUnits = cm"], (2, 3, 4)),
    ],
)
def test_text_headers_state_the_size_and_its_units(tmp_path, write, name, lines, expected):
    path = write(tmp_path / name, *lines)
    image = read_image(path)
    np.testing.assert_allclose(image.GetSpacing(), expected)
    np.testing.assert_allclose(read_spacing(path), expected)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), VALUES)


@pytest.mark.parametrize(
    ("write", "name", "lines", "said"),
    [
        (nrrd, "a.nrrd", [], "unknown: its header has no 'spacings' .* axis x, y, z"),
        (nrrd, "a.nrrd", ["spacings: 2 3 nan"], r"axis z \(2×3×nan\)"),
        (nrrd, "a.nrrd", [*SPACE, AXES.replace("(0,0,4)", "none")], "axis z"),
        (meta, "a.mha", [], "unknown: its header has no 'ElementSpacing'"),
    ],
)
def test_a_cell_supplies_the_size_that_a_text_header_lacks(tmp_path, write, name, lines, said):
    path = write(tmp_path / name, *lines)
    with pytest.raises(CaseError, match=said):
        read_image(path)
    with pytest.raises(CaseError, match=said):
        read_spacing(path)
    assert read_image(path, spacing=(2, 3, 5)).GetSpacing() == (2.0, 3.0, 5.0)


@pytest.mark.parametrize(
    ("write", "name", "lines", "said"),
    [
        (nrrd, "a.nrrd", ["spacings: 2 3 0"], "voxel size of 2×3×0; correct the header"),
        (nrrd, "a.nrrd", [*SPACE, AXES.replace("4", "0")], "voxel size of 2×3×0"),
        (nrrd, "a.nrrd", ["spacings: 2 3 4", 'units: "mm" "mm" "s"'], "in mm, s"),
        (nrrd, "a.nrrd", [*SPACE, AXES, 'space units: "m" "m" "m"'], "2000×3000×4000 mm"),
        (nrrd, "a.nrrd", [*SPACE, AXES.replace("(2,0,0)", "(2,1,0)")], "not perpendicular"),
        (nrrd, "a.nrrd", ["spacings: 1e-4 1e-4 1e-4"], "no size of a scan"),
        (meta, "a.mha", ["ElementSpacing = 2 3 0"], "voxel size of 2×3×0"),
        (meta, "a.mha", ["ElementSpacing = 2 3 4", "DistanceUnits = m"], "2000×3000×4000 mm"),
        (meta, "a.mha", ["ElementSpacing = 2 3 4", "DistanceUnits = in"], "in in; expected mm"),
        (
            meta,
            "a.mha",
            ["ElementSpacing = 2 3 4", "ElementToIntensityFunctionSlope = 2"],
            "intensities are its values times 2 plus 0",
        ),
        (meta, "a.mha", ["ElementSpacing = 2 3 4", "HeaderSize = 8"], "states 8 bytes before"),
        (nrrd, "a.nrrd", [*SPACE, AXES, "old min: -1000", "old max: 3000"], "were quantised"),
    ],
)
def test_text_headers_that_state_no_size_are_refused(tmp_path, write, name, lines, said):
    with pytest.raises(CaseError, match=said):
        read_image(write(tmp_path / name, *lines))
