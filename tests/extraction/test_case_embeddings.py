"""Embeddings beside images: of files and of columns of the case table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant import RadiomicsExtractor
from nonredundant.evaluation.cohort import read_cohort
from nonredundant.utils.validation import InvalidParameterError

OPTIONS = {"feature_classes": ["firstorder"], "bin_count": 8, "patch_shape": None}


@pytest.fixture
def cases():
    """Return three small images, and two columns of an embedding."""
    rng = np.random.default_rng(0)
    mask = np.zeros((8, 8, 8))
    mask[2:6, 2:6, 2:6] = 1
    return pd.DataFrame(
        {
            "image": [rng.normal(size=mask.shape) for _ in range(3)],
            "mask": [mask] * 3,
            "e0": [1.0, 2.0, 3.0],
            "e1": [4.0, 5.0, 6.0],
        },
        index=["anna", "bert", "carl"],
    )


def test_files_and_columns_become_blocks(cases, tmp_path):
    given = pd.DataFrame({"id": ["dora", "carl", "anna", "bert"], "f": [9.0, 3.0, 1.0, 2.0]})
    given.to_csv(tmp_path / "fmcib.csv", index=False)
    sources = {"FMCIB": "fmcib.csv", "own": ["e0", "e1"]}
    extractor = RadiomicsExtractor(embeddings=sources, root=tmp_path, **OPTIONS)
    table = extractor.fit_transform(cases)
    assert table.features["FMCIB__f"].tolist() == [1, 2, 3]
    assert table.embeddings["own"]["own__e1"].tolist() == [4, 5, 6]
    assert list(extractor.get_feature_names_out()) == list(table.columns)
    assert extractor.transform(cases[1:2]).features["FMCIB__f"].tolist() == [2]


def test_what_is_missing_is_told_before_images_are_read(cases):
    given = pd.DataFrame({"f": [1.0, 2.0]}, index=["anna", "bert"])
    broken = cases.assign(image="lost.nii")
    for sources, says in (
        ({"M": given}, r"no row of 1 of 3 cases, \['carl'\]"),
        ({"M": ["e0", "e9"]}, r"1 columns that the case table lacks: \['e9'\]"),
    ):
        with pytest.raises(ValueError, match=says):
            RadiomicsExtractor(embeddings=sources, **OPTIONS).fit_transform(broken)


def test_the_outcome_is_no_embedding(cases):
    extractor = RadiomicsExtractor(embeddings={"M": ["e0", "e1"]}, **OPTIONS)
    with pytest.raises(ValueError, match="the outcome y itself"):
        read_cohort(cases, cases["e1"], caller="test", extractor=extractor)


def test_a_store_refuses_embeddings_with_the_remedy(cases, tmp_path):
    extractor = RadiomicsExtractor(embeddings={"M": ["e0"]}, **OPTIONS)
    with pytest.raises(InvalidParameterError, match=r"LesionTable\.open\(path\)\.replace"):
        extractor.to_store(cases, tmp_path / "store")
