"""The audit: its null, p-values, reproducibility and settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pairs_for_tests import correlated_gaussians, independent, related
from scipy.stats import kstest

from nonredundant import redundancy_report, redundancy_score
from nonredundant.metrics import DEFAULT_METHODS, METHODS, audit_with_null, pool_redundancy
from nonredundant.metrics.audit import AUDIT_METHODS, COLUMNS, CORRELATION, AuditMethod

#: Methods whose null needs no refits.
QUICK = ["r2-ridge", "ksg", "dcor", "hsic"]


def curves(name, n=200):
    rng = np.random.default_rng(0)
    if name == "circle":
        angle = rng.uniform(0, 2 * np.pi, size=n)
        return np.cos(angle), np.sin(angle)
    x = rng.normal(size=n)
    return x**2, x


@pytest.mark.parametrize("curve", ["parabola", "circle"])
def test_dependence_without_correlation_escapes_ridge_alone(curve):
    # On a circle x has mean 0 given y, but a fold's forest, which takes neither side apart, sees
    # its square: h holds both signs, so that only dCor, HSIC and the discriminator can tell.
    h, d = curves(curve)
    seen = ["dcor", "hsic", "discriminator-auc"] + ["r2-forest"] * (curve == "parabola")
    report = redundancy_report(h, d, methods=["r2-ridge", *seen], n_permutations=60, random_state=0)
    assert report.loc["r2-ridge", "p_value"] > 0.05
    assert (report.loc[seen, "p_value"] < 0.05).all(), report


def test_independent_samples_give_uniform_p_values():
    methods = ["r2-ridge", "dcor", "hsic"]
    reports = [
        redundancy_report(*independent(seed=i), methods=methods, n_permutations=49, random_state=i)
        for i in range(200)
    ]
    rng = np.random.default_rng(0)
    for method in methods:
        # Spread over its step of 1/50, so that a discrete p-value can be compared with uniform.
        p = np.array([r.loc[method, "p_value"] for r in reports]) - rng.random(200) / 50
        assert kstest(p, "uniform").pvalue > 0.01, method


def test_refitted_methods_rarely_cry_wolf():
    methods = ["r2-mlp", "discriminator-auc", "discriminator-nats"]
    reports = [
        redundancy_report(*independent(40, seed=i), methods=methods, cv=2, random_state=i)
        for i in range(20)
    ]
    p = np.array([r["p_value"] for r in reports])
    # 4 of 20 below 0.05 have a chance of 0.3 % where the p-value keeps its promise.
    assert ((p < 0.05).sum(axis=0) <= 4).all()


def test_null_is_what_shuffled_rows_give():
    h, d = related(100)
    report = redundancy_report(h, d, n_permutations=40, random_state=0)
    assert list(report.index) == list(DEFAULT_METHODS)
    assert list(report.columns) == COLUMNS
    known = report.drop("discriminator-nats")
    assert (known["detectable"] > known["null_95"]).all()
    assert report["unit"].to_dict() == {m: DEFINED[m] for m in DEFAULT_METHODS}
    assert (report["null_mean"] < report["null_95"]).all()
    # Copies of columns have no part in products of two of them.
    seen = report.drop("largest-product")
    assert (seen["null_95"] < seen["estimate"]).all()
    assert (seen["p_value"] < 0.05).all()
    shuffled = np.random.default_rng(1).permutation(h)
    for method, row in report.iterrows():
        value = redundancy_score(shuffled, d, method, random_state=0)
        spread = row["null_95"] - row["null_mean"]
        # The null of held-out log-likelihoods has a long left tail: overfitting can cost much.
        assert value - row["null_mean"] < 3 * spread, method
    assert report.loc["discriminator-auc", "null_mean"] == pytest.approx(0.5, abs=0.05)
    for method in ("dcor", "hsic", "ksg", "discriminator-nats"):
        assert report.loc[method, "null_mean"] == pytest.approx(0, abs=0.1), method


def test_p_value_of_a_perfect_copy_is_the_smallest_that_permutations_allow():
    h, _ = independent(40)
    report = redundancy_report(h, h, methods=QUICK, n_permutations=24, random_state=0)
    np.testing.assert_allclose(report["p_value"], 1 / 25)
    np.testing.assert_allclose(report.loc[["dcor", "hsic"], "estimate"], 1)


def test_without_permutations_the_null_is_missing():
    report = redundancy_report(*related(), methods=QUICK, n_permutations=0, random_state=0)
    assert report[["null_mean", "null_95", "p_value"]].isna().all(axis=None)
    for method in QUICK:
        score = redundancy_score(*related(), method, random_state=0)
        assert report.loc[method, "estimate"] == score


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_numbers(method):
    def make(seed):
        settings = {"methods": method, "n_permutations": 12, "cv": 2}
        return redundancy_report(*related(30), **settings, random_state=seed)

    pd.testing.assert_frame_equal(make(3), make(3), check_exact=True)
    assert not make(3).equals(make(4))


def test_a_report_of_several_methods_holds_each_as_it_is_alone():
    together = redundancy_report(*related(), methods=QUICK, n_permutations=12, random_state=0)
    for method in QUICK:
        alone = redundancy_report(*related(), methods=method, n_permutations=12, random_state=0)
        pd.testing.assert_frame_equal(together.loc[[method]], alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["dcor", "dcorr"]}, "'dcorr'; known are r2-ridge, r2-forest.*dcor, hsic"),
        ({"methods": "mutual-information"}, "'mutual-information'; known are"),
        ({"cv": 1}, "cv must be an integer of at least 2, got 1"),
        ({"cv": 2.5}, "cv must be an integer of at least 2, got 2.5"),
        ({"n_permutations": -1}, "n_permutations must be an integer of at least 0, got -1"),
    ],
)
def test_impossible_settings_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        redundancy_report(*independent(), **options)


def test_score_lists_the_methods_that_it_knows():
    with pytest.raises(ValueError, match="'mi'; known are r2-ridge.*ksg, dcor, hsic"):
        redundancy_score(*independent(), "mi")


#: What each method estimates, by its definition; all are computed unless named otherwise.
DEFINED = {
    "r2-ridge": "R²",
    "r2-forest": "R²",
    "r2-mlp": "R²",
    "r2-boosting": "R²",
    "discriminator-auc": "AUC",
    "discriminator-nats": "nats",
    "ksg": "nats",
    "dcor": "correlation",
    "hsic": "correlation",
    "largest-pair": "correlation",
    "largest-product": "correlation",
    "r2-of-latents": "R² of a latent",
    "share-of-latents": "share",
}


def test_each_method_estimates_what_its_unit_says():
    """For two Gaussians of correlation r: R² is r², and there are -log(1 - r²) / 2 nats."""
    assert METHODS == DEFINED
    assert set(DEFAULT_METHODS) == set(DEFINED) - {"r2-boosting"}
    h, d = correlated_gaussians(400, nats=0.5)
    report = redundancy_report(h, d, methods=list(DEFINED), n_permutations=0, random_state=0)
    r2 = 1 - np.exp(-1)
    # No score ranks true pairs better than their log-likelihood ratio.
    x, y = correlated_gaussians(20_000, nats=0.5, seed=1)
    same, other = (2 * np.sqrt(r2) * x * v - r2 * (x**2 + v**2) for v in (y, y[::-1]))
    auc = (same > other[np.random.default_rng(0).permutation(20_000)]).mean()
    expected = {"R²": r2, "R² of a latent": r2, "share": r2, "AUC": auc, "nats": 0.5}
    for method, unit in DEFINED.items():
        estimate = report.loc[method, "estimate"]
        if method == "largest-product":
            assert estimate == 0, "one column has no product"
        elif unit == "correlation":
            assert 0.2 < estimate < 1, method
        else:
            assert estimate == pytest.approx(expected[unit], abs=0.12), method


def test_adding_a_method_takes_one_entry(monkeypatch):
    def largest_correlation(pair):
        return np.array([np.abs(pair.h[o].T @ pair.d / len(o)).max() for o in pair.orders])

    method = AuditMethod(largest_correlation, CORRELATION, "largest correlation")
    monkeypatch.setitem(AUDIT_METHODS, "largest", method)
    report = redundancy_report(*related(), methods="largest", random_state=0)
    assert report.loc["largest", "unit"] == "correlation"
    assert report.loc["largest", "p_value"] < 0.05


def many(n=100, seed=0):
    """Return 107 correlated features and 16 independent latents."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(8, 107))
    h = rng.normal(size=(n, 8)) @ mixing + rng.normal(size=(n, 107))
    names = [f"feature{i}" for i in range(107)]
    return pd.DataFrame(h, columns=names), rng.normal(size=(n, 16))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda h, z: h, "d4 with feature13: rank correlation"),
        (lambda h, z: (h - h.mean()) ** 2, "d4 with feature13²: rank correlation"),
        (lambda h, z: z * np.exp(1.5 * (h - h.mean()) / h.std()), "d4² with feature13"),
    ],
)
def test_one_copied_column_is_found_and_named(change, named):
    h, d = many()
    d[:, 4] = change(h["feature13"].to_numpy(), d[:, 4])
    report = redundancy_report(h, d, methods="largest-pair", n_permutations=99, random_state=0)
    assert report.loc["largest-pair", "p_value"] == pytest.approx(0.01)
    assert report.loc["largest-pair", "detail"].startswith(named)


def test_the_largest_pair_accounts_for_the_number_of_pairs():
    p = [
        redundancy_report(*many(40, seed), methods="largest-pair", n_permutations=19)["p_value"]
        for seed in range(60)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.12


@pytest.mark.parametrize("method", ["dcor", "r2-ridge", "largest-pair"])
def test_rows_of_a_patient_are_permuted_together(method):
    """Two equal rows per patient of independent h and d look dependent as single rows."""
    single, grouped = [], []
    for seed in range(25):
        h, d = (np.repeat(x, 2, axis=0) for x in independent(20, seed=seed))
        settings = {"methods": method, "n_permutations": 39, "random_state": seed}
        single.append(redundancy_report(h, d, **settings)["p_value"].iloc[0])
        groups = np.repeat(np.arange(20), 2)
        grouped.append(redundancy_report(h, d, groups=groups, **settings)["p_value"].iloc[0])
    assert np.mean(np.array(single) <= 0.05) > 0.3
    assert np.mean(np.array(grouped) <= 0.05) <= 0.2


def test_groups_that_cannot_be_exchanged_have_no_null():
    h, d = independent(55)
    groups = np.repeat(np.arange(10), np.arange(1, 11))
    report = redundancy_report(h, d, methods="dcor", groups=groups, random_state=0)
    assert np.isnan(report.loc["dcor", "p_value"])
    assert "cannot" not in report.loc["dcor", "detail"]
    assert report.loc["dcor", "detail"].startswith("no null: too few groups")


def test_equal_estimates_of_permuted_rows_are_no_null():
    """Columns with one high value each: all permutations that keep them apart look alike."""
    h, d = np.zeros((12, 1)), np.repeat([1.0, 0.0], 6)
    h[0] = 1
    report = redundancy_report(h, d, methods=["dcor", "hsic", "largest-pair"], cv=2)
    assert report[["null_mean", "null_95", "p_value", "detectable"]].isna().all(axis=None)
    assert (report["detail"] == "no null: permuted rows all give the same estimate").all()


def test_parts_without_a_null_are_left_out_of_the_pooled_audit():
    settings = {"methods": "dcor", "n_permutations": 30, "random_state": 0}
    part = audit_with_null(*related(40), **settings)
    unequal = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    without = audit_with_null(*independent(55), groups=unequal, **settings)
    pd.testing.assert_frame_equal(pool_redundancy([part, without]), part[0])
    pooled = pool_redundancy([without, without])
    assert np.isnan(pooled.loc["dcor", "p_value"])
    assert pooled.loc["dcor", "detail"].startswith("no null")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1], r"groups has shape \(2,\)"),
        (np.zeros(40), "at least 10 groups, got 1"),
        ([None, *range(39)], "missing in 1 rows"),
    ],
)
def test_wrong_groups_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        redundancy_report(*independent(40), methods="dcor", groups=groups)


def test_small_audits_together_see_what_none_sees_alone():
    rng = np.random.default_rng(0)
    parts = []
    for seed in range(12):
        h = rng.normal(size=(20, 2))
        d = 0.4 * h + rng.normal(size=(20, 2))
        parts.append(audit_with_null(h, d, methods=["dcor"], n_permutations=99, random_state=seed))
    alone = [report.loc["dcor", "p_value"] for report, _ in parts]
    pooled = pool_redundancy(parts)
    assert np.median(alone) > 0.05
    assert pooled.loc["dcor", "p_value"] <= 0.02
    assert pooled.loc["dcor", "estimate"] == pytest.approx(
        np.mean([report.loc["dcor", "estimate"] for report, _ in parts])
    )
