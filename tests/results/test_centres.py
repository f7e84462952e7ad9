"""Comparisons that leave out centres: folds, scores per centre, intervals, report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import compare, compare_patients, make_patients, make_table, make_times
from sklearn.metrics import roc_auc_score

from nonredundant import Harmonise, LesionTable
from nonredundant.displays import FeatureSetComparisonDisplay
from nonredundant.report import write_report

SETS = ["HCR", "HCR+DLR-MI"]


def hospitals(n=120, small=0):
    """Return lesions of four hospitals, and of a fifth of so few samples, and their outcome."""
    table, y = make_table(n)
    centre = np.array(list("ABCD"))[np.arange(n) * 4 // n]
    centre[n - small :] = "E"
    return table.replace(samples=pd.DataFrame({"hospital": centre}, index=table.index)), y


@pytest.fixture(scope="module")
def left_out():
    table, y = hospitals()
    return compare(table, y, feature_sets=SETS, cv="centre", centre="hospital", audit=["dcor"])


def test_each_fold_holds_out_one_centre(left_out):
    table, _ = hospitals()
    held = left_out.predictions[left_out.predictions["feature_set"] == "HCR"]
    centre = table.samples["hospital"].reindex(held["sample"]).to_numpy()
    assert pd.DataFrame({"fold": held["fold"], "centre": centre}).drop_duplicates().shape[0] == 4
    assert left_out.settings.centres_left_out
    assert left_out.settings.n_centres == 4


def test_scores_of_a_centre_are_those_of_its_predictions(left_out):
    table, y = hospitals()
    of = dict(zip(table.index, y, strict=True))
    found = left_out.by_centre.set_index(["feature_set", "centre"])
    p = left_out.predictions
    for name in "ABCD":
        rows = table.index[(table.samples["hospital"] == name).to_numpy()]
        scores = {}
        for one in SETS:
            own = p[(p["feature_set"] == one) & p["sample"].isin(rows)]
            scores[one] = roc_auc_score([of[i] for i in own["sample"]], own["score"])
            row = found.loc[(one, name)]
            assert row["score"] == pytest.approx(scores[one])
            assert row["low"] < row["score"] < row["high"]
            assert (row["n"], row["events"]) == (30, sum(of[i] for i in rows))
        difference = found.loc[("HCR+DLR-MI", name), "difference"]
        assert difference == pytest.approx(scores["HCR+DLR-MI"] - scores["HCR"])


def test_intervals_and_tests_have_centres_as_units(left_out):
    scores = left_out.by_centre.set_index("feature_set").loc["HCR", "score"].astype(float)
    row = left_out.summary.set_index("feature_set").loc["HCR"]
    # Student's t of three degrees of freedom.
    reach = 3.182446 * scores.std() / 2
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["high"] == pytest.approx(scores.mean() + reach, abs=1e-5)
    assert set(left_out.tests["method"]) == {"t over centres"}
    spread = left_out.heterogeneity.set_index(["feature_set", "what"])
    assert spread.loc[("HCR+DLR-MI", "difference"), "n_centres"] == 4
    assert "in centres left out" in left_out.answer()


def test_two_centres_have_scores_and_no_interval():
    table, y = hospitals()
    two = table.samples.replace({"hospital": {"B": "A", "D": "C"}})
    found = compare(
        table.replace(samples=two), y, feature_sets=SETS, cv="centre", centre="hospital"
    )
    assert found.summary["low"].isna().all()
    assert set(found.tests["reason"]) == {"2 centres are too few for an interval"}
    assert found.by_centre["low"].notna().all()


def test_a_centre_without_events_is_trained_on_and_told():
    table, y = hospitals(small=4)
    y = np.r_[y[:-4], np.zeros(4, dtype=int)]
    with pytest.warns(UserWarning, match="always trained on.*E has no samples of '1'"):
        found = compare(table, y, feature_sets=["HCR"], cv="centre", centre="hospital")
    row = found.by_centre.set_index("centre").loc["E"]
    assert np.isnan(row["score"])
    assert "no samples of '1'" in row["reason"]
    assert "E" not in set(table.samples["hospital"].reindex(found.predictions["sample"]))


def test_what_cannot_be_left_out_is_refused():
    table, y = hospitals()
    with pytest.raises(ValueError, match="name the column that holds them"):
        compare(table, y, feature_sets=["HCR"], cv="centre")
    one = table.replace(samples=table.samples.assign(hospital="A"))
    with pytest.raises(ValueError, match="needs two centres with 3 samples of every class"):
        compare(one, y, feature_sets=["HCR"], cv="centre", centre="hospital")
    with pytest.raises(ValueError, match="refuses them: set Harmonise.unseen='reference'"):
        compare(
            table,
            y,
            feature_sets=["HCR"],
            cv="centre",
            centre="hospital",
            steps=[Harmonise("hospital")],
        )


def test_a_held_out_centre_is_the_pooled_reference_to_a_harmonisation():
    table, y = hospitals()
    features = table.features + 5.0 * (table.samples["hospital"] == "A").to_numpy()[:, None]
    step = Harmonise("hospital", unseen="reference")
    with pytest.warns(UserWarning, match="as if from the pooled reference"):
        found = compare(
            table.replace(features=features),
            y,
            feature_sets=["HCR"],
            cv="centre",
            centre="hospital",
            steps=[step],
        )
    assert found.by_centre["score"].notna().all()
    coding = found.centre_coding.set_index("features")["estimate"]
    assert coding["HCR"] > 0.4
    assert coding["HCR after the steps"] < coding["HCR"] - 0.05


def test_a_centre_of_one_class_is_told_where_it_is_harmonised():
    table, y = hospitals()
    y = np.where(table.samples["hospital"] == "D", 0, y)
    with pytest.warns(UserWarning, match=r"removes the outcome with the centre: D \(30\)"):
        compare(table, y, feature_sets=["HCR"], steps=[Harmonise("hospital")])


def test_centres_are_audited_where_they_are_named(left_out):
    assert list(left_out.centre_coding["features"]) == ["HCR", "DLR-MI"]
    assert (left_out.centre_coding["p_value"] > 0.01).all()
    table, y = hospitals()
    assert compare(table, y, feature_sets=["HCR"]).centre_coding.empty
    assert compare(table, y, feature_sets=["HCR"], centre="hospital").by_centre.empty


def test_times_to_an_event_are_scored_per_centre():
    table, _, hottest = make_patients(90)
    centre = np.array(list("ABC"))[np.arange(90) % 3]
    table = table.replace(samples=pd.DataFrame({"hospital": centre}, index=table.index))
    found = compare_patients(
        table, make_times(hottest), classifiers="Cox", cv="centre", centre="hospital"
    )
    assert found.by_centre["score"].between(0, 1).all()
    assert found.summary["low"].notna().all()


def test_the_report_shows_the_centres(left_out, tmp_path):
    page = write_report(left_out, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Centres left out" in page
    assert "leave one centre out, 4 of 4 centres" in page
    assert "Whether the centre can be told from features" in page
    display = FeatureSetComparisonDisplay.from_centres(left_out)
    names = [text.get_text() for text in display.axes_[0].get_yticklabels()]
    assert names[-1] == "mean"
    assert names[0].startswith("A (")
    tables = left_out.to_csv(tmp_path / "tables")
    assert len(pd.read_csv(tables / "by_centre.csv")) == 8


def test_rows_of_one_patient_are_one_unit_of_its_centre():
    table, y = make_table(60)
    rows = np.repeat(np.arange(60), 4)
    centre = np.array(list("ABC"))[np.arange(60) // 20]
    samples = pd.DataFrame({"hospital": centre[rows], "patient": rows})
    many = LesionTable(table.features.iloc[rows].reset_index(drop=True), samples=samples)
    options = {"feature_sets": ["HCR"], "cv": "centre", "centre": "hospital", "audit": False}
    found = [compare(many, y[rows], **options, groups=one) for one in (None, "patient")]
    alone, grouped = (one.by_centre["error"].to_numpy(dtype=float) for one in found)
    # Four copies of a patient say as much as one: the error is that of a quarter of the rows.
    np.testing.assert_allclose(grouped, 2 * alone, rtol=0.15)


def test_numbers_are_scored_in_every_centre_whatever_their_quarters():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(48, 3))).add_prefix("f")
    centre = np.repeat(list("ABCD"), 12)
    y = 10 * frame["f0"] + 5 * rng.normal(size=48) + np.repeat([0, 6, 12, 40], 12)
    table = LesionTable(frame, samples=pd.DataFrame({"hospital": centre}))
    found = compare(
        table,
        y,
        feature_sets=["HCR"],
        classifiers="Ridge",
        scoring="r2",
        cv="centre",
        centre="hospital",
        audit=False,
    )
    assert found.by_centre["score"].notna().sum() == 4
    assert found.by_centre["events"].isna().all()


def test_a_centre_without_an_error_is_named_as_not_in_the_mean(tmp_path):
    table, y = hospitals()
    known = table.samples["hospital"].to_numpy() == "B"
    features = table.features.copy()
    # In one hospital a feature tells the outcome, and the model knows which.
    for name in ("original_firstorder_Maximum", "original_glcm_F0"):
        features[name] = np.where(known, 50.0 * y, y + features[name])
    easy = table.replace(features=features)
    found = compare(
        easy,
        y,
        feature_sets=["HCR", "H4"],
        cv="centre",
        centre="hospital",
    )
    by_centre = found.by_centre.set_index(["feature_set", "centre"])
    assert by_centre.loc[("HCR", "B"), ["score", "error"]].tolist() == [1.0, 0.0]
    spread = found.heterogeneity.set_index(["feature_set", "what"])
    assert spread.loc[("HCR", "score"), "left_out"] == "B (1.000)"
    assert spread.loc[("HCR", "score"), "n_centres"] == 3
    page = write_report(found, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "B (1.000)" in page
    assert "Centres that are not in the mean" in page
