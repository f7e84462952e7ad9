"""The audit against closed-form truths, its null, another implementation, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kstest

from nonredundant import LesionTable, redundancy_report, redundancy_score
from nonredundant.metrics import DEFAULT_METHODS, METHODS
from nonredundant.metrics.pairwise import distance_correlations, hsic_correlations

#: Methods whose null needs no refits.
CHEAP = ["r2-ridge", "ksg", "dcor", "hsic"]


def correlated_gaussians(n, nats, *, size=1, seed=0):
    """Pairs of `size` + `size` dimensions whose mutual information is −½ Σ log(1 − ρ²)."""
    rng = np.random.default_rng(seed)
    rho = np.sqrt(1 - np.exp(-2 * nats / size))
    h = rng.normal(size=(n, size))
    return h, rho * h + np.sqrt(1 - rho**2) * rng.normal(size=(n, size))


def independent(n=60, n_h=4, n_d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_h)), rng.normal(size=(n, n_d))


def related(n=60, seed=0):
    h, d = independent(n, seed=seed)
    return h, d + h[:, :3]


# Truths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("nats", [0.1, 0.5, 1.0, 2.0])
def test_ksg_finds_the_information_of_gaussians(nats):
    found = redundancy_score(*correlated_gaussians(1500, nats), "ksg", random_state=0)
    assert found == pytest.approx(nats, rel=0.1, abs=0.05)


def test_ksg_finds_nothing_where_nothing_is():
    assert redundancy_score(*independent(1500, 2, 2), "ksg") == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("nats", [0.3, 1.0])
def test_discriminator_finds_the_information_of_gaussians(nats):
    pairs = correlated_gaussians(800, nats, size=1)
    found = redundancy_score(*pairs, "discriminator-nats", random_state=0)
    assert found == pytest.approx(nats, rel=0.15, abs=0.03)


@pytest.mark.parametrize("nats", [0.5, 1.0])
def test_discriminator_finds_most_of_it_in_few_rows_of_two_columns(nats):
    pairs = correlated_gaussians(800, nats, size=2)
    found = redundancy_score(*pairs, "discriminator-nats", random_state=0)
    assert 0.7 * nats < found < 1.1 * nats


@pytest.mark.parametrize(
    ("method", "within"),
    [("r2-ridge", 0.03), ("r2-mlp", 0.06), ("r2-forest", 0.06), ("r2-boosting", 0.1)],
)
def test_r2_of_a_linear_relation_is_the_share_that_it_explains(method, within):
    rng = np.random.default_rng(0)
    d = rng.normal(size=(600, 2))
    h = d + rng.normal(size=(600, 2)) / np.sqrt(3)
    assert redundancy_score(h, d, method, random_state=0) == pytest.approx(0.75, abs=within)


def test_r2_counts_columns_that_nothing_explains():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(500, 2))
    h = np.column_stack([d, rng.normal(size=(500, 6))])
    assert redundancy_score(h, d, "r2-ridge", random_state=0) == pytest.approx(0.25, abs=0.02)


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


# The null -----------------------------------------------------------------------------------


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
    assert list(report.columns) == ["estimate", "null_mean", "null_95", "p_value", "unit"]
    assert report["unit"].to_dict() == {m: METHODS[m] for m in DEFAULT_METHODS}
    assert (report["null_mean"] < report["null_95"]).all()
    assert (report["null_95"] < report["estimate"]).all()
    assert (report["p_value"] < 0.05).all()
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
    report = redundancy_report(h, h, methods=CHEAP, n_permutations=24, random_state=0)
    np.testing.assert_allclose(report["p_value"], 1 / 25)
    np.testing.assert_allclose(report.loc[["dcor", "hsic"], "estimate"], 1)


def test_without_permutations_the_null_is_missing():
    report = redundancy_report(*related(), methods=CHEAP, n_permutations=0, random_state=0)
    assert report[["null_mean", "null_95", "p_value"]].isna().all(axis=None)
    for method in CHEAP:
        score = redundancy_score(*related(), method, random_state=0)
        assert report.loc[method, "estimate"] == score


# Other implementations and definitions --------------------------------------------------------


def test_distance_correlation_equals_dcors():
    i = np.arange(40.0)
    h = np.sin(i[:, None] * np.array([0.7, 1.3, 2.9]))
    d = np.column_stack([h[:, 0] ** 2 + 0.3 * np.cos(5.1 * i), np.cos(1.7 * i)])
    found = distance_correlations(h, d, [np.arange(40), np.arange(40)[::-1]])
    # u_distance_correlation_sqr of dcor 0.7, for h as it is and in reverse order.
    expected = [-0.0022980484828617888, -0.030193697069165103]
    np.testing.assert_allclose(np.sign(found) * found**2, expected, atol=1e-12)


def test_hsic_equals_the_unbiased_estimator():
    def unbiased(k, m):
        n = len(k)
        one = np.ones(n)
        mixed = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + mixed - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    h, d = related(30)
    kernels = []
    for x in (h, d):
        squared = pdist(x, "sqeuclidean")
        kernels.append(squareform(np.exp(-squared / np.median(squared))))
    a, b = kernels
    expected = unbiased(a, b) / np.sqrt(unbiased(a, a) * unbiased(b, b))
    found = hsic_correlations(h, d, [np.arange(30)])
    assert found[0] == pytest.approx(expected, abs=1e-12)


def test_hsic_takes_a_rare_binary_column():
    rare = np.zeros(40)
    rare[:4] = 1
    assert redundancy_score(rare, rare, "hsic") == pytest.approx(1)


# Invariance and reproducibility ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_scale_shift_and_skew_of_columns_do_not_matter(method):
    h, d = related()
    d_mapped = np.column_stack([np.exp(d[:, 0]), 1e6 * d[:, 1] - 5, d[:, 2] ** 3])
    settings = {"method": method, "cv": 2, "random_state": 0}
    expected = redundancy_score(h, d, **settings)
    assert redundancy_score(1e-3 * h + 1, d_mapped, **settings) == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_the_columns_of_h_does_not_matter(method):
    h, d = related()
    settings = {"method": method, "cv": 2, "random_state": 0}
    expected = redundancy_score(h, d, **settings)
    assert redundancy_score(h[:, ::-1], d, **settings) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_numbers(method):
    def make(seed):
        settings = {"methods": method, "n_permutations": 12, "cv": 2}
        return redundancy_report(*related(30), **settings, random_state=seed)

    pd.testing.assert_frame_equal(make(3), make(3), check_exact=True)
    assert not make(3).equals(make(4))


def test_a_report_of_several_methods_holds_each_as_it_is_alone():
    together = redundancy_report(*related(), methods=CHEAP, n_permutations=12, random_state=0)
    for method in CHEAP:
        alone = redundancy_report(*related(), methods=method, n_permutations=12, random_state=0)
        pd.testing.assert_frame_equal(together.loc[[method]], alone)


# Input -------------------------------------------------------------------------------------------


def test_frames_and_lesion_tables_count_as_their_matrices():
    h, d = related()
    expected = redundancy_score(h, d, "dcor")
    index = [f"patient {i}" for i in range(len(h))]
    frames = [pd.DataFrame(x, index=index) for x in (h, d)]
    assert redundancy_score(*frames, "dcor") == expected
    table = LesionTable(pd.DataFrame(h, columns=list("abcd")))
    assert redundancy_score(table, d, "dcor") == expected


def test_lesion_table_of_several_lesions_a_sample_asks_to_aggregate():
    table = LesionTable(pd.DataFrame({"a": np.arange(30.0)}), sample=np.repeat(np.arange(15), 2))
    with pytest.raises(ValueError, match="aggregate them first"):
        redundancy_score(table, np.arange(15.0), "dcor")


def test_constant_columns_are_left_out_and_named():
    h, d = related()
    frame = pd.DataFrame(h, columns=list("abcd")).assign(flat=1.0)
    with pytest.warns(UserWarning, match="h has 1 constant columns.*flat") as caught:
        found = redundancy_score(frame, d, "dcor")
    assert caught[0].filename == __file__
    assert found == redundancy_score(h, d, "dcor")


def spoilt(value):
    h = independent()[0]
    h[3, 1] = h[5, 1] = value
    return pd.DataFrame(h, columns=["volume", "peak", "mean", "skew"])


BAD = {
    "lengths": (independent(20)[0], independent(19)[1], "h has 20 rows but d has 19"),
    "NaN": (spoilt(np.nan), independent()[1], "h has 2 NaN or infinite values in 2 rows.*peak"),
    "infinite": (independent()[1], spoilt(np.inf), "d has 2 NaN or infinite values.*peak"),
    "constant": (independent()[0], np.ones((60, 2)), "d has no column that varies over its 60"),
    "too few rows": (*independent(9), "cv=5 needs at least 10 rows, got 9"),
    "words": (np.array([["a"]] * 20), independent(20)[1], "h must be numeric.*'a'"),
    "dimensions": (np.ones((20, 2, 2)), independent(20)[1], r"h must have.*\(20, 2, 2\)"),
    "index": (
        pd.DataFrame(independent(20)[0]),
        pd.DataFrame(independent(20)[1]).iloc[::-1],
        r"different indices.*d\.loc\[h\.index\]",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("audit", [redundancy_report, redundancy_score])
def test_bad_input_is_refused_by_name(audit, case):
    h, d, message = BAD[case]
    options = {"methods": ["dcor"]} if audit is redundancy_report else {"method": "dcor"}
    with pytest.raises(ValueError, match=message):
        audit(h, d, **options)


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
