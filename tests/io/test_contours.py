"""Contours become voxels: centres inside, holes, names, and what does not belong to the image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import FRAME, circle, write_contours

from nonredundant.io import CaseError, ImageFileError, read_image, read_mask
from nonredundant.io.contours import FRAME_OF_REFERENCE, fill_polygon

REAL = Path(os.environ.get("NONREDUNDANT_DATA", "/nowhere")) / "dicom" / "STS_001"


def scan(spacing=(1.0, 1.0, 2.0), frame=FRAME):
    """Return an image of 10 slices of 40 x 40 pixels whose origin is (-5, -7, 100) mm."""
    image = sitk.Image(40, 40, 10, sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-5.0, -7.0, 100.0))
    if frame:
        image.SetMetaData(FRAME_OF_REFERENCE, frame)
    return image


def disc(radius, slices=range(2, 7)):
    """Return a circle around (15, 13) mm on some slices."""
    return [circle((15.0, 13.0), radius, 100.0 + 2 * k) for k in slices]


def voxels(mask):
    return sitk.GetArrayFromImage(mask)


def test_pixels_whose_centres_lie_inside_belong_to_the_contour(tmp_path):
    path = write_contours(tmp_path / "RS.dcm", [("GTV", disc(6.3))])
    found = voxels(read_mask(path, scan()))
    y, x = np.mgrid[-7.0:33.0, -5.0:35.0]
    expected = (x - 15) ** 2 + (y - 13) ** 2 < 6.3**2
    assert not found[[0, 1, 7, 8, 9]].any()
    # A polygon of 60 corners leaves 0.2 % of the radius to its circle: no centre lies there.
    for k in range(2, 7):
        np.testing.assert_array_equal(found[k] > 0, expected)


def test_a_contour_inside_another_cuts_a_hole_and_a_copy_does_not(tmp_path):
    whole = voxels(read_mask(write_contours(tmp_path / "a.dcm", [("a", disc(9.3))]), scan()))
    inner = voxels(read_mask(write_contours(tmp_path / "b.dcm", [("a", disc(4.3))]), scan()))
    ring = write_contours(tmp_path / "c.dcm", [("a", [*disc(9.3), *disc(4.3)])])
    np.testing.assert_array_equal(voxels(read_mask(ring, scan())), whole - inner)
    twice = write_contours(tmp_path / "d.dcm", [("a", [*disc(9.3), *disc(9.3)])])
    np.testing.assert_array_equal(voxels(read_mask(twice, scan())), whole)


def test_shared_edges_split_the_pixels_between_two_polygons():
    left = np.array([[0, 0], [5, 0], [5, 9], [0, 9]], float)
    right = left + [5, 0]
    total = fill_polygon(left, (12, 12)).astype(int) + fill_polygon(right, (12, 12))
    assert total.max() == 1
    assert total.sum() == 10 * 9


def test_contours_are_found_on_an_oblique_grid(tmp_path):
    image = scan(frame="")
    turn = sitk.VersorTransform((0.2, 0.9, 0.4), 0.6)
    turned = sitk.Image(image)
    turned.SetDirection(turn.GetMatrix())
    turned.SetOrigin(turn.TransformPoint(image.GetOrigin()))
    moved = [np.array([turn.TransformPoint(p) for p in one.tolist()]) for one in disc(6.3)]
    straight = read_mask(write_contours(tmp_path / "a.dcm", [("a", disc(6.3))]), image)
    oblique = read_mask(write_contours(tmp_path / "b.dcm", [("a", moved)]), turned)
    np.testing.assert_array_equal(voxels(oblique), voxels(straight))


def test_regions_are_chosen_by_name_or_pattern_and_the_error_lists_them(tmp_path):
    regions = [("Lung", disc(9.3)), ("GTV_1", disc(4.3)), ("empty", [])]
    path = write_contours(tmp_path / "RS.dcm", regions)
    n = voxels(read_mask(path, scan(), roi="GTV_1")).sum()
    assert voxels(read_mask(path, scan(), roi="gtv*")).sum() == n
    for roi in (None, "*", "CTV"):
        with pytest.raises(CaseError, match="the file has 'Lung', 'GTV_1'"):
            read_mask(path, scan(), roi=roi)


def test_several_regions_are_labels_unless_they_overlap(tmp_path):
    apart = [circle((25.0, 23.0), 3.3, 100.0 + 2 * k) for k in range(2, 7)]
    path = write_contours(tmp_path / "RS.dcm", [("GTV a", disc(4.3)), ("GTV b", apart)])
    table = quick(lesions="labels", roi="GTV*").fit_transform(
        pd.DataFrame({"image": [noise(scan())], "mask": [path]})
    )
    assert table.n_lesions == 2
    path = write_contours(tmp_path / "RS.dcm", [("GTV a", disc(4.3)), ("GTV b", disc(3.3))])
    with pytest.raises(CaseError, match="overlap"):
        read_mask(path, scan(), roi="GTV*", several=True)


def noise(image):
    values = np.random.default_rng(0).gamma(4, 0.3, image.GetSize()[::-1])
    filled = sitk.GetImageFromArray(values)
    filled.CopyInformation(image)
    return filled


@pytest.mark.parametrize(
    ("contours", "options", "said"),
    [
        (disc(6.3), {"frame": "9.9"}, "another frame of reference"),
        (disc(6.3), {"kind": "OPEN_PLANAR"}, "OPEN_PLANAR, which enclose no area"),
        ([disc(6.3)[0][:1]], {"kind": "POINT"}, "POINT, which enclose no area"),
        ([one + [0, 0, 0.7] for one in disc(6.3)], {}, r"0\.35 of a slice distance off"),
        ([one[:, [0, 2, 1]] + [0, -90, 90] for one in disc(6.3)], {}, "or across them"),
        ([one + [0, 0, 14] for one in disc(6.3)], {}, "5 slices, of which 4 are outside"),
        ([one + [500, 0, 0] for one in disc(6.3)], {}, "enclose no pixel centre"),
        (disc(6.3, range(0, 9, 2)), {}, "every 2th slice"),
    ],
)
def test_contours_that_do_not_fit_the_image_are_refused(tmp_path, contours, options, said):
    path = write_contours(tmp_path / "RS.dcm", [("GTV", contours)], **options)
    with pytest.raises(CaseError, match=said):
        read_mask(path, scan())


def test_a_damaged_structure_set_fails_as_a_file(tmp_path):
    path = write_contours(tmp_path / "RS.dcm", [("GTV", disc(6.3))])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CaseError):
        read_mask(path, scan())
    with pytest.raises(ImageFileError, match=r"RTSTRUCT.*column 'mask'"):
        read_image(write_contours(tmp_path / "b.dcm", [("GTV", disc(6.3))]))


def test_without_pydicom_the_error_names_the_extra(tmp_path, monkeypatch):
    path = write_contours(tmp_path / "RS.dcm", [("GTV", disc(6.3))])
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"nonredundant\[dicom\]"):
        read_mask(path, scan())


@pytest.mark.skipif(not REAL.exists(), reason="needs the cohort's DICOM files")
@pytest.mark.parametrize("modality", ["PET", "CT"])
@pytest.mark.parametrize("place", ["RS.dcm", "."])
def test_masks_of_a_real_patient_equal_the_published_ones(modality, place):
    image = read_image(REAL / modality / "image")
    mask = read_mask(REAL / modality / "mask" / place, image)
    published = sitk.ReadImage(str(REAL / f"{modality}_mask.nii.gz"))
    np.testing.assert_array_equal(voxels(mask) > 0, voxels(published) > 0)
    values = sitk.ReadImage(str(REAL / f"{modality}_image.nii.gz"))
    np.testing.assert_allclose(voxels(image), voxels(values), rtol=1e-5, atol=1e-3)
