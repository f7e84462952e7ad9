"""Categories of clinical columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant.extraction.categories import CategoryIndicators


def test_unseen_and_missing_categories_are_missing_and_never_the_first():
    seen = pd.DataFrame({"sex": ["F", "M", "F", None], "stage": ["I", "II", "III", "I"]})
    encoder = CategoryIndicators().fit(seen)
    names = ["sex_M", "stage_I", "stage_II", "stage_III"]
    assert encoder.get_feature_names_out().tolist() == names
    new = pd.DataFrame({"stage": ["II", "IV", None], "sex": ["F", "male", None]}, index=list("abc"))
    found = encoder.transform(new)
    assert found.columns.tolist() == names
    assert found.index.tolist() == ["a", "b", "c"]
    assert found.iloc[0].tolist() == [0, 0, 1, 0]
    assert np.isnan(found.iloc[1:]).all(axis=None)
