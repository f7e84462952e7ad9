"""Models saved in each format load with the types of this package and give the same outputs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
import skops.io
from saved_models_for_tests import METHODS, WITH_SCIKIT_LEARN, outputs_of, table_of
from sklearn.exceptions import InconsistentVersionWarning

from nonredundant.nn.state import FORMAT

FOLDER = Path(__file__).parent / "fixtures"
FILES = sorted(FOLDER.glob("format-*/*.skops"))


def test_each_model_was_saved_in_the_current_format():
    assert {file.stem for file in FILES if file.parent.name == f"format-{FORMAT}"} == set(METHODS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_saved_model_gives_the_outputs_that_were_stored_with_it(file):
    trusted = skops.io.get_untrusted_types(file=file)
    odd = [name for name in trusted if not name.startswith(("nonredundant.", "numpy."))]
    assert not odd
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = skops.io.load(file, trusted=trusted)
    with np.load(file.parent / "arrays.npz") as stored:
        arrays = dict(stored)
    if file.stem in WITH_SCIKIT_LEARN and arrays["scikit_learn"] != sklearn.__version__:
        pytest.skip("scikit-learn does not promise to load what another version saved")
    found = outputs_of(model, table_of(arrays))
    assert set(found) == set(METHODS[file.stem])
    for method, values in found.items():
        expected = arrays[f"{file.stem}.{method}"]
        if expected.dtype.kind == "U":
            assert values.tolist() == expected.tolist()
        else:
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5, err_msg=method)
