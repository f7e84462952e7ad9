"""What holds for any cases: subsets, orders, paddings, formats, orientations, processes, files."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import SHAPE, assert_same, cohort, image_of, quick
from cohorts_for_tests import PLAIN, compare, make_table
from hypothesis import given, settings
from hypothesis import strategies as st

from nonredundant import LesionTable

FEW = settings(max_examples=8, deadline=None)
SEVERAL = settings(max_examples=25, deadline=None)
TEXTURES = {"feature_classes": ["shape", "firstorder", "glcm", "glrlm"]}
N = 6
ANISOTROPIC = (0.7, 0.9, 2.5)


@cache
def whole():
    """The cases, and what is measured of them."""
    cases = cohort(N)
    return cases, quick(**TEXTURES, n_jobs=None).fit_transform(cases)


@FEW
@given(chosen=st.lists(st.integers(0, N - 1), min_size=1, unique=True))
def test_any_subset_in_any_order_has_the_rows_of_the_whole(chosen):
    cases, table = whole()
    assert_same(quick(**TEXTURES).fit_transform(cases.iloc[chosen]), table[chosen])


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_the_number_of_processes_changes_no_bit(n_jobs):
    cases, table = whole()
    assert_same(quick(**TEXTURES, n_jobs=n_jobs).fit_transform(cases), table)


@FEW
@given(order=st.permutations(["image", "mask", "age", "sex"]))
def test_the_order_of_the_columns_of_a_case_table_changes_nothing(order):
    cases, table = whole()
    assert_same(quick(**TEXTURES).fit_transform(cases[order][:2]), table[:2])


@FEW
@given(seed=st.integers(0, 20), pads=st.lists(st.integers(0, 6), min_size=6, max_size=6))
def test_padding_moves_the_lesion_and_changes_no_value(seed, pads):
    image, mask = image_of(seed)
    around = list(zip(pads[::2], pads[1::2], strict=True))
    # The background of the phantoms continues, so that the patch sees the same surroundings.
    wide = np.pad(image, [(6, 6)] * 3, mode="wrap"), np.pad(mask, [(6, 6)] * 3)
    inner = tuple(slice(6 - a, 6 + n + b) for (a, b), n in zip(around, SHAPE, strict=True))
    tables = [
        quick(**TEXTURES).fit_transform(pd.DataFrame({"image": [i], "mask": [m]}))
        for i, m in ((image, mask), (wide[0][inner], wide[1][inner]))
    ]
    np.testing.assert_allclose(tables[1].features, tables[0].features, rtol=1e-9)
    np.testing.assert_array_equal(tables[1].masks, tables[0].masks)
    inside = tables[0].masks
    np.testing.assert_allclose(tables[1].patches[inside], tables[0].patches[inside], rtol=1e-6)
    moved = tables[1].positions - tables[0].positions
    np.testing.assert_allclose(moved[0], [a for a, _ in around], atol=1e-9)


def _stored(image, mask, folder, ending, orientation):
    """Write image and mask in a format, stored in another orientation of the same space."""
    paths = {}
    for name, values in (("image", image.astype(np.float32)), ("mask", mask.astype(np.uint8))):
        one = sitk.GetImageFromArray(values)
        one.SetSpacing(ANISOTROPIC)
        one.SetOrigin((-20.0, 35.0, 12.5))
        path = Path(folder, name + ending)
        sitk.WriteImage(sitk.DICOMOrient(one, orientation), str(path))
        paths[name] = [str(path)]
    return pd.DataFrame(paths)


@FEW
@given(
    seed=st.integers(0, 20),
    ending=st.sampled_from([".nii", ".nii.gz", ".nrrd", ".mha"]),
    orientation=st.sampled_from(["LPS", "RAS", "RPI", "SAL", "PIR", "ASR"]),
)
def test_format_and_orientation_of_a_file_change_no_value(seed, ending, orientation):
    image, mask = image_of(seed)
    with tempfile.TemporaryDirectory() as folder:
        plain = quick(**TEXTURES).fit_transform(_stored(image, mask, folder, ".nrrd", "LPS"))
        other = quick(**TEXTURES).fit_transform(_stored(image, mask, folder, ending, orientation))
    # Named by an axis of the file, not of space.
    named = [name for name in plain.features if "Maximum2DDiameter" not in name]
    np.testing.assert_allclose(other.features[named], plain.features[named], rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(other.masks, plain.masks)
    np.testing.assert_allclose(other.patches, plain.patches, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other.positions, plain.positions, atol=1e-4)


LABELS = st.one_of(
    st.lists(st.text(max_size=5), min_size=4, max_size=4, unique=True),
    st.lists(st.integers(-(2**40), 2**40), min_size=4, max_size=4, unique=True),
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=False, width=64)


@SEVERAL
@given(
    values=st.lists(NUMBERS, min_size=8, max_size=8),
    lesions=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    labels=LABELS,
    names=st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=2, unique=True),
    with_patches=st.booleans(),
    mmap=st.booleans(),
)
def test_save_and_load_is_the_identity(values, lesions, labels, names, with_patches, mmap):
    sample = np.repeat(np.arange(4), lesions)
    n = len(sample)
    rng = np.random.default_rng(n)
    patches = rng.normal(size=(n, 1, 4, 4, 4)).astype(np.float32) if with_patches else None
    table = LesionTable(
        pd.DataFrame(np.resize(values, (n, 2)), columns=names),
        patches=patches,
        masks=None if patches is None else patches > 0,
        sample=sample,
        positions=rng.normal(size=(n, 3)),
        index=labels,
        blocks={names[1]: "clinical"},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.npz")
        table.save(path)
        loaded = LesionTable.load(path, mmap=mmap)
        assert_same(loaded, table)
        assert loaded.index.tolist() == table.index.tolist()
        assert loaded.blocks == table.blocks
        assert (loaded.status == table.status).all()
        loaded.save(path)
        assert_same(LesionTable.load(path), table)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_columns_changes_no_result_of_a_comparison(seed):
    table, y = make_table(60)
    table = table.replace(patches=None, masks=None)
    order = np.random.default_rng(seed).permutation(len(table.columns))
    other = table.replace(features=table.features.iloc[:, order])
    options = {"feature_sets": ["HCR"], "classifiers": PLAIN, "cv": 3}
    one, two = (compare(each, y, **options) for each in (table, other))
    np.testing.assert_allclose(two.scores["score"], one.scores["score"])
    np.testing.assert_allclose(two.predictions["score"], one.predictions["score"], rtol=1e-4)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_patients_changes_no_score_on_the_same_folds(seed):
    table, y = make_table(60)
    table = table.replace(patches=None, masks=None)
    order = np.random.default_rng(seed).permutation(60)
    place = np.argsort(order)
    folds = [(np.setdiff1d(np.arange(60), part), part) for part in np.split(np.arange(60), 3)]
    moved = [(place[train], place[test]) for train, test in folds]
    options = {"feature_sets": ["HCR"], "classifiers": PLAIN}
    one = compare(table, y, cv=folds, **options)
    two = compare(table[order], y[order], cv=moved, **options)
    np.testing.assert_allclose(two.scores["score"], one.scores["score"])
    left, right = (found.predictions.set_index("sample")["score"] for found in (one, two))
    np.testing.assert_allclose(right[left.index], left, rtol=1e-4)
