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
from nonredundant.io.contours import FRAME_OF_REFERENCE
from nonredundant.io.polygons import fill_polygon

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


def square(z, low=(5.2, 3.2), high=(20.7, 20.7)):
    """Return the corners of a rectangle at height z, in mm."""
    (x0, y0), (x1, y1) = low, high
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def more_corners(points):
    """Return the same outline with a corner in the middle of each side."""
    middle = (points + np.roll(points, -1, axis=0)) / 2
    return np.stack([points, middle], axis=1).reshape(-1, 3)


@pytest.mark.parametrize(
    "copy",
    [
        lambda one: np.roll(one, 1, axis=0),
        lambda one: one[::-1],
        lambda one: one + [0.01, -0.01, 0],
        lambda one: np.round(one * 2) / 2,
        lambda one: one + np.sign(one - [13, 12, one[0, 2]]) * [0.2, 0.1, 0],
        more_corners,
    ],
    ids=["start", "direction", "shifted", "rounded", "outwards", "corners"],
)
@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize("draw", [square, lambda z: circle((15.0, 13.0), 9.3, z)])
def test_a_contour_that_is_stored_twice_counts_once(tmp_path, copy, kind, draw):
    once = [draw(100.0 + 2 * k) for k in range(2, 7)]
    twice = [*once, *(copy(one) for one in once[1:3])]
    one = read_mask(write_contours(tmp_path / "a.dcm", [("a", once)], kind=kind), scan())
    two = read_mask(write_contours(tmp_path / "b.dcm", [("a", twice)], kind=kind), scan())
    np.testing.assert_array_equal(voxels(two), voxels(one))
    assert voxels(one).any(axis=(1, 2)).sum() == 5


@pytest.mark.parametrize("closed", [False, True])
def test_a_contour_that_goes_round_twice_counts_once(tmp_path, closed):
    def round_twice(one):
        return np.concatenate([one, one, one[:1]] if closed else [one, one])

    one = read_mask(write_contours(tmp_path / "a.dcm", [("a", disc(6.3))]), scan())
    twice = [round_twice(contour) for contour in disc(6.3)]
    two = read_mask(write_contours(tmp_path / "b.dcm", [("a", twice)]), scan())
    np.testing.assert_array_equal(voxels(two), voxels(one))


def test_a_keyhole_is_a_hole(tmp_path):
    outer, inner = square(104, (0.5, 0.5), (20.5, 20.5)), square(104, (5.5, 5.5), (15.5, 15.5))
    keyhole = np.concatenate([outer, outer[:1], inner[::-1][-1:], inner[::-1]])
    for points in (keyhole, np.concatenate([outer, outer[:1], inner, inner[:1]])):
        path = write_contours(tmp_path / "RS.dcm", [("wall", [points])])
        assert voxels(read_mask(path, scan())).sum() == 20**2 - 10**2


def test_a_wall_of_one_pixel_is_a_hole_and_no_copy(tmp_path):
    outer, inner = square(104, (0.5, 0.5), (20.5, 20.5)), square(104, (1.5, 1.5), (19.5, 19.5))
    path = write_contours(tmp_path / "RS.dcm", [("wall", [outer, inner])])
    assert voxels(read_mask(path, scan())).sum() == 20**2 - 18**2


def test_overlapping_contours_add_up_at_their_edges_or_are_refused(tmp_path):
    left, right = square(104, (0.5, 0.5), (10.5, 20.5)), square(104, (9.5, 0.5), (20.5, 20.5))
    path = write_contours(tmp_path / "RS.dcm", [("a", [left, right])])
    assert voxels(read_mask(path, scan())).sum() == 20 * 20
    right[:, 0] -= [4, 0, 0, 4]
    path = write_contours(tmp_path / "RS.dcm", [("a", [left, right])])
    with pytest.raises(CaseError, match="'a', slice 2: two .* overlap in 100 pixels.*correct"):
        read_mask(path, scan())
    path = write_contours(tmp_path / "x.dcm", [("a", [left, right])], kind="CLOSEDPLANAR_XOR")
    assert voxels(read_mask(path, scan())).sum() == 20 * 20 - 100


@pytest.mark.parametrize("shift", [0.4, 1.6, 3.0])
def test_a_contour_that_was_drawn_twice_never_cancels_itself(tmp_path, shift):
    once = voxels(read_mask(write_contours(tmp_path / "a.dcm", [("a", disc(14.3))]), scan()))
    again = [*disc(14.3), *(one + [shift, 0, 0] for one in disc(14.3))]
    path = write_contours(tmp_path / "b.dcm", [("a", again)])
    if shift < 1:
        np.testing.assert_array_equal(voxels(read_mask(path, scan())), once)
    else:
        with pytest.raises(CaseError, match="unknown whether they add up or one cuts the other"):
            read_mask(path, scan())


def test_two_holes_that_touch_stay_holes(tmp_path):
    outer = square(104, (-0.5, -0.5), (20.5, 20.5))
    holes = [square(104, (1.5, 1.5), (10.5, 9.5)), square(104, (9.5, 1.5), (19.5, 9.5))]
    path = write_contours(tmp_path / "RS.dcm", [("a", [outer, *holes])])
    assert voxels(read_mask(path, scan())).sum() == 21 * 21 - 18 * 8


def test_skipped_slices_are_told_refused_or_interpolated(tmp_path):
    one = write_contours(tmp_path / "one.dcm", [("GTV", disc(6.3, [2, 3, 5, 6]))])
    whole = voxels(read_mask(write_contours(tmp_path / "w.dcm", [("a", disc(6.3))]), scan()))
    notes = {}
    found = voxels(read_mask(one, scan(), notes=notes))
    assert notes == {"skipped": "'GTV': slices 4 between contours have none"}
    assert found[4].sum() == 0
    np.testing.assert_array_equal(voxels(read_mask(one, scan(), fill_slices=True)), whole)
    cases = pd.DataFrame({"image": [noise(scan())], "mask": [one]}, index=["anna"])
    with pytest.warns(UserWarning, match="1 of 1 masks have slices without contours"):
        quick(patch_shape=None).fit_transform(cases)
    # Irregularly, and most of them: the smallest step alone is 1.
    most = write_contours(tmp_path / "most.dcm", [("GTV", disc(6.3, [1, 2, 5, 8]))])
    with pytest.raises(CaseError, match=r"4 slices \(1, 2, 5, 8\), but none on 4 between.*fill_sl"):
        read_mask(most, scan())
    filled = voxels(read_mask(most, scan(), fill_slices=True))
    np.testing.assert_array_equal(filled[1:9], np.repeat(whole[2:3], 8, axis=0))


def test_interpolated_slices_lie_between_their_neighbours(tmp_path):
    cone = [circle((15.0, 13.0), 4.2 + 3 * (k - 2), 100.0 + 2 * k) for k in (2, 4)]
    path = write_contours(tmp_path / "RS.dcm", [("cone", cone)])
    middle = voxels(read_mask(path, scan(), fill_slices=True))[3]
    # Half way between circles of radius 4.2 and 10.2 mm lies one of 7.2 mm.
    assert middle.sum() == pytest.approx(np.pi * 7.2**2, rel=0.05)
    apart = [circle((x, 13.0), 3.3, 100.0 + 2 * k) for x, k in ((5.0, 2), (25.0, 4))]
    path = write_contours(tmp_path / "RS.dcm", [("tube", apart)])
    with pytest.raises(CaseError, match="slices 2 and 4 do not overlap enough"):
        read_mask(path, scan(), fill_slices=True)


def test_parts_that_lie_apart_are_not_told_as_skipped_slices(tmp_path):
    nodes = [circle((x, 13.0), 3.3, 100.0 + 2 * k) for x, k in ((5, 1), (5, 2), (25, 7), (25, 8))]
    notes = {}
    path = write_contours(tmp_path / "RS.dcm", [("nodes", nodes)])
    read_mask(path, scan(), notes=notes)
    assert not notes


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1), (1, 0, 2)])
def test_contours_are_found_on_images_stored_in_another_order_of_axes(tmp_path, order):
    flips = (True, False, True)
    stored = sitk.Flip(sitk.PermuteAxes(scan(), order), flips)
    path = write_contours(tmp_path / "RS.dcm", [("a", disc(6.3))])
    straight, turned = read_mask(path, scan()), read_mask(path, stored)
    back = sitk.PermuteAxes(sitk.Flip(turned, flips), [order.index(k) for k in range(3)])
    np.testing.assert_array_equal(voxels(back), voxels(straight))


def edited(path, edit):
    """Change a structure set."""
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)
    return path


def test_two_items_of_contours_of_one_number_add_up_unless_they_differ_on_a_slice(tmp_path):
    def same_number(dataset):
        dataset.ROIContourSequence[1].ReferencedROINumber = 1
        del dataset.StructureSetROISequence[1]

    whole = voxels(read_mask(write_contours(tmp_path / "w.dcm", [("a", disc(6.3))]), scan()))
    parts = [("a", disc(6.3, range(2, 5))), ("b", disc(6.3, range(4, 7)))]
    path = edited(write_contours(tmp_path / "RS.dcm", parts), same_number)
    np.testing.assert_array_equal(voxels(read_mask(path, scan())), whole)
    parts = [("a", disc(6.3)), ("b", disc(3.3))]
    path = edited(write_contours(tmp_path / "RS.dcm", parts), same_number)
    with pytest.raises(CaseError, match="'a' has 2 items of contours .* differ on slice 2"):
        read_mask(path, scan())


def test_two_regions_of_one_number_are_refused_if_they_are_chosen(tmp_path):
    def same_number(dataset):
        dataset.StructureSetROISequence[1].ROINumber = 1
        dataset.ROIContourSequence[1].ReferencedROINumber = 1

    regions = [("GTV", disc(6.3)), ("Lung", disc(3.3)), ("Heart", disc(4.3))]
    path = edited(write_contours(tmp_path / "RS.dcm", regions), same_number)
    with pytest.raises(CaseError, match="ROI number 1 is that of 2 regions"):
        read_mask(path, scan(), roi="GTV*")
    assert voxels(read_mask(path, scan(), roi="Heart")).any()


def test_a_region_without_contours_is_named(tmp_path):
    path = write_contours(tmp_path / "RS.dcm", [("Lung", disc(9.3)), ("GTV", [])])
    with pytest.raises(CaseError, match="'GTV' of the file has neither contours nor voxels"):
        read_mask(path, scan(), roi="GTV")
    notes = {}
    assert voxels(read_mask(path, scan(), notes=notes)).any()
    assert notes == {"undrawn": "'GTV' not drawn, 'Lung' measured"}
    read_mask(path, scan(), roi="Lung", notes=(notes := {}))
    assert not notes
    cases = pd.DataFrame({"image": [noise(scan())], "mask": [path]}, index=["anna"])
    with pytest.warns(UserWarning, match="1 of 1 masks have regions that are not drawn.*'GTV'"):
        quick(patch_shape=None).fit_transform(cases)
    with pytest.raises(ImageFileError, match="without contours: its regions are 'GTV'"):
        read_mask(write_contours(tmp_path / "RS.dcm", [("GTV", [])]), scan())


def test_contours_without_an_entry_in_the_structure_set_have_their_number_as_name(tmp_path):
    def without_entry(dataset):
        del dataset.StructureSetROISequence[1]

    regions = [("GTV", disc(6.3)), ("Lung", disc(3.3))]
    path = edited(write_contours(tmp_path / "RS.dcm", regions), without_entry)
    with pytest.raises(CaseError, match="the file has 'GTV', 'ROI 2'"):
        read_mask(path, scan())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NumberOfContourPoints", 61, "states 61 points, but has 60"),
        ("ContourOffsetVector", [0, 0, 2], r"offset by \[0.0, 0.0, 2.0\] mm"),
    ],
)
def test_elements_of_a_contour_that_contradict_its_points_are_refused(tmp_path, name, value, said):
    def change(dataset):
        setattr(dataset.ROIContourSequence[0].ContourSequence[0], name, value)

    path = edited(write_contours(tmp_path / "RS.dcm", [("GTV", disc(6.3))]), change)
    with pytest.raises(ImageFileError, match=said):
        read_mask(path, scan())


def test_contours_may_reach_to_the_border_but_not_beyond(tmp_path):
    whole = [square(100.0 + 2 * k, (-5.5, -7.5), (34.5, 32.5)) for k in range(10)]
    path = write_contours(tmp_path / "RS.dcm", [("body", whole)])
    assert voxels(read_mask(path, scan())).all()
    path = write_contours(tmp_path / "RS.dcm", [("body", [one + [3, 0, 0] for one in whole])])
    with pytest.raises(CaseError, match="20 of 40 points .* up to 3 mm from its border"):
        read_mask(path, scan())


@pytest.mark.parametrize(
    ("contours", "options", "said"),
    [
        (disc(6.3), {"frame": "9.9"}, "another frame of reference"),
        (disc(6.3), {"kind": "OPEN_PLANAR"}, "OPEN_PLANAR, which enclose no area"),
        ([disc(6.3)[0][:1]], {"kind": "POINT"}, "POINT, which enclose no area"),
        ([one + [0, 0, 0.7] for one in disc(6.3)], {}, r"0\.35 of a slice distance off"),
        ([one + (one[:, :1] - 15) * [0, 0, 0.3] for one in disc(6.3)], {}, "or across them"),
        ([one + [0, 0, 14] for one in disc(6.3)], {}, "5 slices, of which 4 are outside"),
        ([one + [500, 0, 0] for one in disc(6.3)], {}, "300 of 300 points .* lie beside the image"),
        (disc(6.3, range(0, 9, 2)), {}, r"5 slices \(0, 2, 4, 6, 8\), but none on 4 between"),
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
