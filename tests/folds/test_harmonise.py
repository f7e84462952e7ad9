"""ComBat as a step: the values of two reference programs, its invariances, odd and bad tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from cohorts_for_tests import PLAIN, compare, make_table
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import PredefinedSplit

from nonredundant import Harmonise, LesionTable
from nonredundant.cli.model_files import load_model
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.patients import LesionPooling
from nonredundant.utils.validation import InvalidParameterError

#: Thirty rows of three centres, and what neuroCombat 0.2.12 and combatlearn 2.3.0 (`fortin`, with
#: `eps=1e-13` in place of the 1e-8 that it adds to each variance) made of them, with the age as a
#: covariate of numbers.
REFERENCE = pd.read_csv(Path(__file__).parent.parent / "fixtures" / "combat.csv")
X = [f"x{i}" for i in range(5)]


def table_of(features, centre, **columns):
    """Return lesions of one per sample with the centre in their samples."""
    frame = pd.DataFrame(features).reset_index(drop=True)
    index = [f"P{i}" for i in range(len(frame))]
    samples = pd.DataFrame({"centre": np.asarray(centre), **columns}, index=index)
    frame.columns = [f"f{name}" for name in frame.columns]
    return LesionTable(frame, samples=samples)


def two_centres(n=60, p=12, seed=0):
    """Return lesions of the centres A and B, the second of which shifts and scales."""
    rng = np.random.default_rng(seed)
    centre = np.where(np.arange(n) % 2, "A", "B")
    values = rng.normal(size=(n, p))
    values[centre == "B"] = 3 + 2 * values[centre == "B"]
    return table_of(values, centre)


@pytest.mark.parametrize(
    ("prior", "program"), [("features", "neurocombat"), ("centres", "combatlearn")]
)
def test_values_are_those_of_the_reference_programs(prior, program):
    samples = REFERENCE[["centre", "age"]]
    table = LesionTable(REFERENCE[X], samples=samples)
    step = Harmonise(covariates=["age"], prior=prior)
    with pytest.warns(UserWarning, match=r"fewer than 10 training samples, .*: C \(6\)"):
        even = step.fit_transform(table).features.to_numpy()
    expected = REFERENCE[[f"{program}{i}" for i in range(5)]].to_numpy()
    np.testing.assert_allclose(even, expected, rtol=0, atol=1e-8)


def test_centres_have_one_mean_and_spread_afterwards():
    table = two_centres(400)
    even = Harmonise().fit_transform(table).features
    groups = even.groupby(table.samples["centre"].to_numpy())
    # Without shrinkage the gaps would be 0; before, they are 3 and 1.
    assert (groups.mean().diff().abs().to_numpy()[1] < 0.2).all()
    assert (groups.std().diff().abs().to_numpy()[1] < 0.1).all()


def test_units_of_a_column_and_names_and_order_of_centres_do_not_matter():
    table = two_centres()
    even = Harmonise().fit_transform(table).features
    scaled = table.replace(features=1000 * table.features + 7)
    np.testing.assert_allclose(
        Harmonise().fit_transform(scaled).features, 1000 * even + 7, atol=1e-6
    )
    other = table.samples.assign(centre=table.samples["centre"].map({"A": 2, "B": 1}))
    renamed = Harmonise().fit_transform(table.replace(samples=other)).features
    np.testing.assert_allclose(renamed, even, atol=1e-9)


def test_integers_floats_and_text_name_the_same_centre():
    table = two_centres()
    numbers = np.where(table.samples["centre"] == "A", 1, 2)
    step = Harmonise().fit(table.replace(samples=table.samples.assign(centre=numbers)))
    found = [
        step.transform(table.replace(samples=table.samples.assign(centre=names))).features
        for names in (numbers, numbers.astype(float), numbers.astype(str))
    ]
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])


def test_what_a_covariate_explains_is_kept():
    rng = np.random.default_rng(0)
    centre = np.repeat(["A", "B"], 150)
    sex = np.where(rng.random(300) < np.where(centre == "A", 0.8, 0.2), "f", "m")
    values = (
        rng.normal(size=(300, 8)) + 2.0 * (sex == "f")[:, None] + 5.0 * (centre == "B")[:, None]
    )
    table = table_of(values, centre, sex=sex)

    def gap(step):
        even = step.fit_transform(table).features.to_numpy()
        return (even[sex == "f"].mean() - even[sex == "m"].mean()).item()

    assert gap(Harmonise(covariates=["sex"])) == pytest.approx(2.0, abs=0.1)
    # Without it, what the centres differ in sex is taken for an effect of the centre.
    assert gap(Harmonise()) < 1.6


def test_gaps_stay_gaps_and_do_not_move_the_other_columns():
    table = two_centres()
    features = table.features.copy()
    features.iloc[[0, 1, 7], 3] = np.nan
    features["empty"] = np.nan
    even = Harmonise().fit_transform(table.replace(features=features, blocks={})).features
    assert even.isna().sum().to_dict() == features.isna().sum().to_dict()
    known = even["f3"].dropna()
    groups = known.groupby(table.samples["centre"].reindex(known.index).to_numpy()).mean()
    assert abs(groups["A"] - groups["B"]) < 0.5


def test_a_column_without_values_at_fit_stays_as_it_is():
    table = two_centres()
    features = table.features.assign(empty=np.nan)
    step = Harmonise().fit(table.replace(features=features, blocks={}))
    later = table.replace(features=features.assign(empty=4.0), blocks={})
    assert (step.transform(later).features["empty"] == 4.0).all()


def test_constant_columns_stay_and_those_of_the_centre_alone_lose_it():
    table = two_centres()
    is_b = (table.samples["centre"] == "B").to_numpy()
    features = table.features.assign(constant=7.0, code=np.where(is_b, 5.0, 1.0))
    even = Harmonise().fit_transform(table.replace(features=features, blocks={})).features
    np.testing.assert_allclose(even["constant"], 7.0)
    np.testing.assert_allclose(even["code"], 3.0)
    # They have no part in what is borrowed for the others.
    plain = Harmonise().fit_transform(table).features
    np.testing.assert_allclose(even[plain.columns], plain)


def test_lesions_of_a_sample_have_its_centre():
    sample = np.repeat(np.arange(30), 2)
    centre = np.where(np.arange(30) % 2, "A", "B")
    values = np.random.default_rng(1).normal(size=(60, 12))
    values += 4.0 * (centre[sample] == "B")[:, None]
    several = LesionTable(
        pd.DataFrame(values), sample=sample, samples=pd.DataFrame({"centre": centre})
    )
    even = Harmonise().fit_transform(several)
    assert even.n_lesions == 60
    means = even.features.groupby(centre[sample]).mean().mean(axis=1)
    assert abs(means["A"] - means["B"]) < 0.1


def test_a_centre_with_one_patient_is_shifted_and_told():
    table = two_centres(61)
    centre = table.samples["centre"].to_numpy().copy()
    centre[60] = "alone"
    features = table.features.copy()
    features.iloc[60] += 50.0
    one = table.replace(features=features, samples=table.samples.assign(centre=centre))
    with pytest.warns(UserWarning, match=r"fewer than 10 training samples, .*: alone \(1\)"):
        even = Harmonise().fit_transform(one).features
    assert np.isfinite(even.to_numpy()).all()
    assert abs(even.iloc[60].mean() - even.iloc[:60].mean().mean()) < 5


def test_one_column_is_standardised_within_centres():
    table = two_centres(p=1)
    even = Harmonise().fit_transform(table).features["f0"]
    groups = even.groupby(table.samples["centre"].to_numpy())
    assert np.ptp(groups.mean()) < 1e-9
    assert np.ptp(groups.std()) < 1e-9


def test_embeddings_are_harmonised_too_and_clinical_columns_never():
    table = two_centres()
    given = pd.DataFrame(table.features.to_numpy(), index=table.index)
    whole = table.replace(embeddings={"FMCIB": given}).join(
        pd.DataFrame({"age": np.arange(60.0)}, index=table.index)
    )
    plain = Harmonise(blocks=["hcr"]).fit_transform(whole)
    pd.testing.assert_frame_equal(plain.embeddings["FMCIB"], whole.embeddings["FMCIB"])
    pd.testing.assert_frame_equal(plain.clinical, whole.clinical)
    both = Harmonise().fit_transform(whole)
    assert not np.allclose(both.embeddings["FMCIB"], whole.embeddings["FMCIB"])
    pd.testing.assert_frame_equal(both.clinical, whole.clinical)
    with pytest.raises(ValueError, match="nothing to harmonise"):
        Harmonise().fit(whole.replace(features=whole.clinical))
    with pytest.raises(InvalidParameterError, match=r"among \['hcr', 'FMCIB'\]"):
        Harmonise(blocks=["clinical"]).fit(whole)


def test_an_unseen_centre_is_refused_or_kept_as_it_is():
    table = two_centres()
    new = table[:5].replace(samples=table.samples[:5].assign(centre="C"))
    with pytest.raises(ValueError, match=r"no estimate of the centres C \(5\).*unseen='reference'"):
        Harmonise().fit(table).transform(new)
    with pytest.warns(UserWarning, match=r"as if from the pooled reference: C \(5\)"):
        kept = Harmonise(unseen="reference").fit(table).transform(new)
    pd.testing.assert_frame_equal(kept.features, new.features)


@pytest.mark.parametrize(
    ("change", "step", "message"),
    [
        ({"centre": "A"}, Harmonise(), "is 'A' in all 60"),
        ({"centre": [None, *"AB" * 29, "A"]}, Harmonise(), r"missing for 1 samples: \['P0'\]"),
        ({"age": 1.0}, Harmonise("hospital"), "column 'hospital' of samples, which has"),
        ({}, Harmonise(covariates=["age"]), "covariate 'age' is neither"),
        (
            {"age": [np.nan, *range(59)]},
            Harmonise(covariates=["age"]),
            r"'age' is missing for 1 samples: \['P0'\]",
        ),
        (
            {"dose": ["low", "high"] * 30},
            Harmonise(covariates=["dose"]),
            "cannot be told from those of the centres",
        ),
    ],
)
def test_tables_that_cannot_be_harmonised_are_refused(change, step, message):
    table = two_centres()
    with pytest.raises(ValueError, match=message):
        step.fit(table.replace(samples=table.samples.assign(**change)))


def test_the_outcome_is_no_covariate():
    table = two_centres()
    y = pd.Series(np.arange(60) % 3 % 2, index=table.index, name="relapse")
    table = table.replace(samples=table.samples.assign(relapse=y, other=y))
    for name in ("relapse", "other"):
        with pytest.raises(ValueError, match=f"the outcome y itself: '{name}'"):
            compare(table, y, feature_sets=["HCR"], steps=[Harmonise(covariates=[name])])


class SpyStep(TransformerMixin, BaseEstimator):
    """Remembers the samples and the outcome that a fit of `Harmonise` was given."""

    fitted_on: list = []

    def fit(self, X, y=None):
        assert y is None
        self.fitted_on.append(frozenset(X.index))
        self.step_ = Harmonise().fit(X)
        return self

    def transform(self, X):
        return self.step_.transform(X)


def with_centres(n=60, seed=0):
    """Return lesions of two centres with an outcome, and the outcome."""
    table, y = make_table(n, seed=seed)
    centre = np.where(np.arange(n) % 3 == 0, "B", "A")
    samples = pd.DataFrame({"centre": centre}, index=table.index)
    features = table.features + 2.0 * (centre == "B")[:, None]
    return table.replace(features=features, samples=samples), y


def test_no_held_out_sample_has_a_part_in_what_a_fold_removes():
    table, y = with_centres()
    SpyStep.fitted_on.clear()
    found = compare(table, y, feature_sets=["HCR"], steps=[SpyStep()])
    folds = found.predictions.groupby("fold")["sample"]
    training = {frozenset(table.index) - frozenset(held) for _, held in folds}
    assert training <= set(SpyStep.fitted_on)
    assert set(SpyStep.fitted_on) - training <= {frozenset(table.index)}


def test_changed_held_out_samples_change_nothing_that_a_fold_learns():
    table, y = with_centres()
    where = np.arange(60) // 20
    features = table.features.copy()
    features.iloc[:20] = np.random.default_rng(0).normal(90, 5, size=(20, features.shape[1]))
    labels = np.where(where == 0, 1 - y, y)
    settings = {"feature_sets": ["HCR"], "steps": [Harmonise()], "cv": PredefinedSplit(where)}
    runs = [
        compare(table, y, **settings),
        compare(table.replace(features=features), labels, **settings),
    ]
    weights = [run.models["HCR", "LR", 0, 0].named_steps["classifier"].coef_ for run in runs]
    np.testing.assert_array_equal(*weights)
    others = [run.models["HCR", "LR", 0, 1].named_steps["classifier"].coef_ for run in runs]
    assert not np.array_equal(*others)


def test_random_labels_are_not_predicted_behind_it():
    table, _ = with_centres(90)
    rng = np.random.default_rng(0)
    scores = []
    for seed in range(6):
        y = rng.permutation(np.arange(90) % 2)
        found = compare(
            table,
            y,
            feature_sets=["HCR"],
            steps=[Harmonise()],
            classifiers=PLAIN,
            random_state=seed,
        )
        scores.append(found.summary["mean"].iloc[0])
    # Three standard errors of the mean AUC of 90 balanced samples under no effect.
    assert abs(np.mean(scores) - 0.5) < 3 * np.sqrt(91 / (12 * 45**2) / 6)


def test_a_saved_model_harmonises_new_samples(tmp_path):
    table, y = with_centres()
    model = FeatureSetClassifier("HCR", classifier="LR", steps=[Harmonise()], random_state=0)
    model.fit(table, y)
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(table), model.predict_proba(table))


def test_an_unseen_category_of_a_covariate_is_refused_or_told_with_its_rule():
    rng = np.random.default_rng(0)
    centre = np.where(np.arange(80) % 2, "A", "B")
    sex = rng.choice(["F", "M"], 80)
    values = rng.normal(size=(80, 3)) + 2.0 * (sex == "M")[:, None]
    train = table_of(values, centre, sex=sex)
    new = train.replace(samples=train.samples.assign(sex=["X", "X", "m", *sex[3:]]))
    step = Harmonise(covariates=["sex"]).fit(train)
    with pytest.raises(ValueError, match=r"'sex' has categories .*\['F', 'M'\]: X \(2\), m \(1\);"):
        step.transform(new)
    step = Harmonise(covariates=["sex"], unseen="reference").fit(train)
    with pytest.warns(UserWarning, match=r"reference category 'F': X \(2\), m \(1\)"):
        found = step.transform(new)
    as_first = step.transform(
        train.replace(samples=train.samples.assign(sex=["F"] * 3 + [*sex[3:]]))
    )
    np.testing.assert_array_equal(found.features, as_first.features)


def several_lesions(n=60, seed=0):
    """Return patients of two centres with three lesions each, whose volumes differ by a lot."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), 3)
    centre = np.where(np.arange(n) % 2, "A", "B")
    volume = rng.lognormal(sigma=1.5, size=3 * n) * np.where(centre == "B", 20, 1)[sample]
    features = pd.DataFrame(
        {"original_shape_VoxelVolume": volume, "uptake": rng.normal(size=3 * n)}
    )
    samples = pd.DataFrame({"centre": centre}, index=[f"P{i}" for i in range(n)])
    y = (rng.normal(size=n) > 0).astype(int)
    return LesionTable(features, sample=sample, index=samples.index, samples=samples), y


def test_lesions_are_weighted_by_their_volumes_as_measured():
    table, y = several_lesions()
    step = Harmonise(blocks=["hcr"]).fit(table)
    even = step.transform(table)
    assert (even.features["original_shape_VoxelVolume"] < 0).any()
    pooling = LesionPooling("volume").fit(even)
    assert pooling.get_feature_names_out().tolist() == [f"volume__{name}" for name in table.hcr]
    found = pooling.pool_values(even.features[["uptake"]].to_numpy(), even)
    # The uptake as harmonised, weighted by what was measured.
    weights = table.features["original_shape_VoxelVolume"].to_numpy().reshape(-1, 3)
    uptake = even.features["uptake"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(found[:, 0], (weights * uptake).sum(axis=1) / weights.sum(axis=1))
    assert list(even.hcr) == list(table.hcr)
    assert Harmonise().fit(even).transform(even).columns.equals(even.columns)
    # One lesion per sample of the new cases: the columns are those of the training cohort.
    single = table[:4]
    rows = np.searchsorted(single.sample, np.arange(4))
    one = LesionTable(single.features.iloc[rows].reset_index(drop=True), samples=single.samples)
    assert step.transform(one).columns.equals(even.columns)
    found = compare(
        table, y, feature_sets=["HCR"], steps=[Harmonise()], patients="volume", centre="centre"
    )
    assert found.scores["score"].between(0, 1).all()


def test_negative_volumes_are_no_weights():
    table, _ = several_lesions()
    features = table.features - table.features.mean()
    shifted = table.replace(features=features)
    with pytest.raises(ValueError, match=r"of 180 volumes are negative, such as -.* 'P"):
        LesionPooling("volume").fit_transform(shifted)


def test_a_centre_is_the_same_as_a_number_and_as_text():
    rng = np.random.default_rng(0)
    number = np.arange(60) % 3 + 1
    hcr = pd.DataFrame(rng.normal(size=(60, 3)) + number[:, None]).add_prefix("f")

    def lesions(centre):
        return LesionTable(hcr, samples=pd.DataFrame({"centre": centre}))

    step = Harmonise().fit(lesions(number))
    expected = step.transform(lesions(number)).features
    decimals = number.astype(float)
    for written in (decimals, number.astype(str), decimals.astype(str)):
        pd.testing.assert_frame_equal(step.transform(lesions(written)).features, expected)
    # So do centres of a file of an earlier version.
    step.centres_ = ["1.0", "2.0", "3.0"]
    pd.testing.assert_frame_equal(step.transform(lesions(number)).features, expected)
