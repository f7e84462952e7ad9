"""The cohort in units that readers use."""

from __future__ import annotations

from dataclasses import replace

from pages_for_tests import changed, read


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
