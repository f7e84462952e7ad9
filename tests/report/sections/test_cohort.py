"""The cohort in units that readers use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from cohorts_for_tests import make_table
from pages_for_tests import changed, compare, read


def shown(found, folder, **provenance):
    """Return the rows of the cohort as name → text."""
    cohort = replace(
        found.settings.cohort,
        quartiles={"volume": [500.0, 2000.0, 31500.0], "maximum": [2.5, 4.0, 11.25]},
    )
    settings = replace(found.settings, cohort=cohort, provenance=provenance)
    rows = read(changed(found, settings=settings), folder).rows
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_volumes_are_in_millilitres_and_uptake_in_suv(found, tmp_path, no_pictures):
    rows = shown(found, tmp_path, parameters={"setting": {}}, modality="PET")
    assert rows["lesion volume per sample, median (quartiles)"] == "2 (0.5 to 31.5) mL"
    assert rows["maximum intensity, median (quartiles)"] == "4 (2.5 to 11.2) SUV"


def test_units_are_not_stated_where_they_are_not_known(found, tmp_path, no_pictures):
    rows = shown(found, tmp_path)
    assert rows["lesion volume per sample, median (quartiles)"].endswith("mL, if spacing is in mm")
    assert rows["maximum intensity, median (quartiles)"].endswith("in units of the images")


def test_clinical_columns_are_counts_or_quartiles(tmp_path, no_pictures):
    table, y = make_table(60)
    table = table.replace(patches=None, masks=None)
    clinical = pd.DataFrame(
        {"age": np.arange(60.0), "sex": (np.arange(60) % 3 == 0).astype(float)}, index=table.index
    )
    clinical.loc[table.index[:1], "age"] = np.nan
    page = read(compare(table.join(clinical, block="clinical"), y), tmp_path)
    rows = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert rows["age, median (quartiles)"] == "30 (15.5 to 44.5); 1 value missing"
    assert rows["sex = 1"] == "20 of 60 (33 %)"


def test_many_clinical_columns_are_folded_away(found, tmp_path, no_pictures):
    n_samples = float(found.settings.cohort.n_samples)

    def page_of(n):
        clinical = {f"marker {i}": [n_samples, 1.0, 2.0, 3.0] for i in range(n)}
        cohort = replace(found.settings.cohort, n_clinical=n, clinical=clinical)
        return read(changed(found, settings=replace(found.settings, cohort=cohort)), tmp_path)

    few, many = page_of(12), page_of(107)
    assert "Clinical columns (107 rows)" in many.text
    assert "Clinical columns (" not in few.text
    row = ["marker 3, median (quartiles)", "2 (1 to 3)"]
    assert row in few.rows
    assert row in many.rows
