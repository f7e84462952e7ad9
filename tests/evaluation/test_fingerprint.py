"""Cases outside of the training cohort."""

from __future__ import annotations

from nonredundant.evaluation import FeatureSetClassifier


def test_cases_outside_of_the_training_cohort_are_named(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    assert (model.outside(table) == "").all()
    features = table.features.copy()
    features.iloc[5] = features.iloc[5] + 100
    said = model.outside(table.replace(features=features))
    assert said.index[said != ""].tolist() == ["case005"]
    assert "8 of 8 features out of range" in said["case005"]
