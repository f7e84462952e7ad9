"""The tests of the primary difference by other classifiers and on other samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nonredundant.displays import style as look


def rows_with(table: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows with the chosen values."""
    return look.pick(table, needed=False, **chosen)


def all_tests(comparison: Any) -> pd.DataFrame:
    """Collect the tests of the primary difference by every classifier and every test.

    The first row is the primary comparison itself. `test` names the test.
    """
    primary = comparison.primary
    if "reference" not in primary:
        return comparison.tests[:0].assign(test="")
    sources = [("", comparison.tests)]
    if comparison.settings.n_test:
        sources.append(("folds: ", comparison.cv_tests))
    at = {key: value for key, value in primary.items() if key != "classifier"}
    parts = []
    for name, tests in sources:
        own = rows_with(tests, at)
        parts.append(own.assign(test=name + own["method"]))
    found = pd.concat(parts, ignore_index=True)
    first = found["classifier"] == primary["classifier"]
    return pd.concat([found[first], found[~first]], ignore_index=True)
