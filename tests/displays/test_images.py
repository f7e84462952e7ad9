"""Reconstructions and traversals."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import LesionTable, displays


def test_reconstructions_are_the_networks_with_their_error(data):
    display = displays.ReconstructionDisplay.from_estimator(data.cvae, data.lesions, rows=[7, 2])
    mask = data.lesions.masks[[7, 2], 0]
    patches = data.lesions.patches[[7, 2], 0]
    drawn = data.cvae.reconstruct(data.lesions[[7, 2]])[:, 0]
    assert display.names == ["case07", "case02"]
    np.testing.assert_array_equal(display.original, patches)
    np.testing.assert_array_equal(display.reconstructed, np.where(mask, drawn, np.nan))
    expected = [np.sqrt(np.mean((drawn - patches)[i][mask[i]] ** 2)) for i in range(2)]
    np.testing.assert_allclose(display.l2, expected, rtol=1e-5)
    shown = display.axes_[1, 2].images[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), ~mask[1])
    assert display.axes_[0, 3].get_xlabel() == f"l2 error {expected[0]:.3g}"


class Doubling:
    """Reconstructs each patch as its double."""

    def reconstruct(self, X):
        return 2 * X.patches


def test_volumes_are_shown_by_middle_slice_or_maximum():
    patches = np.zeros((1, 1, 6, 4, 4), dtype=np.float32)
    masks = np.zeros(patches.shape, dtype=bool)
    masks[0, 0, 2:5, 1:3, 1:3] = True
    patches[0, 0, 3] = 1
    patches[0, 0, 2, 1, 1], patches[0, 0, 0] = 5, 9
    table = LesionTable.from_arrays(patches=patches, masks=masks)
    middle = displays.ReconstructionDisplay.from_estimator(Doubling(), table)
    assert (middle.original == 1).all()
    assert np.nansum(middle.masked) == 4
    assert middle.axes_[0, 0].get_xlabel() == "middle slice"
    highest = displays.ReconstructionDisplay.from_estimator(Doubling(), table, view="mip")
    assert (highest.original == 9).all()
    inside = np.array([[5, 1], [1, 1]])
    np.testing.assert_array_equal(highest.masked[0, 1:3, 1:3], inside)
    np.testing.assert_array_equal(highest.reconstructed[0, 1:3, 1:3], 2 * inside)
    assert np.isnan(highest.error).sum() == 12
    # Four voxels of 1 and one of 5 out of twelve.
    assert highest.l2[0] == middle.l2[0] == pytest.approx(np.sqrt((4 + 25) / 12))


def test_lesions_without_masks_are_drawn_whole():
    table = LesionTable.from_arrays(patches=np.ones((2, 1, 4, 4)) * [[[[1]]], [[[2]]]])
    display = displays.ReconstructionDisplay.from_estimator(Doubling(), table)
    np.testing.assert_array_equal(display.masked, display.original)
    np.testing.assert_allclose(display.l2, [1, 2])
    assert not display.axes_[0, 0].collections


def test_images_need_patches(data):
    table = LesionTable(data.lesions.features)
    with pytest.raises(ValueError, match="patch_shape"):
        displays.ReconstructionDisplay.from_estimator(data.cvae, table)


def test_traversals_are_the_networks_with_differences_to_the_middle(data):
    display = displays.TraversalDisplay.from_estimator(
        data.cvae, data.lesions, row=5, latents=[2], span=1.5, n_steps=3
    )
    drawn = data.cvae.traverse(data.lesions[[5]], 2, [-1.5, 0, 1.5])[0, :, 0]
    mask = data.lesions.masks[5, 0]
    np.testing.assert_allclose(display.images[0][:, mask], drawn[:, mask], rtol=1e-5)
    assert np.isnan(display.images[0][:, ~mask]).all()
    np.testing.assert_allclose(
        display.differences[0][:, mask], (drawn - drawn[1])[:, mask], atol=1e-5
    )
    assert [ax.get_title() for ax in display.axes_[0]] == ["−1.5", "0", "+1.5"]
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["dlr02", "difference"]
    low, high = display.axes_[1, 0].images[0].get_clim()
    assert low == -high
