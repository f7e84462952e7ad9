"""R² of each latent given h: closed forms, its null, and what other methods do not see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pairs_for_tests import independent, related
from sklearn.linear_model import Ridge

from nonredundant import redundancy_report, redundancy_score
from nonredundant.metrics import explained_share
from nonredundant.metrics.inputs import normal_scores
from nonredundant.metrics.latents import RIDGE_PENALTIES, latents_r2, left_out_smoothers
from nonredundant.metrics.permutations import group_orders
from nonredundant.statistics import stacked_regression

METHOD = "r2-of-latents"


def audits(draw, n_audits, n_permutations=59):
    """Return the share of audits that see dependence."""
    seen = [
        redundancy_report(
            *draw(np.random.default_rng(seed)),
            methods=METHOD,
            n_permutations=n_permutations,
            random_state=seed,
        ).loc[METHOD, "p_value"]
        <= 0.05
        for seed in range(n_audits)
    ]
    return np.mean(seen)


def test_one_latent_that_is_the_sum_of_all_features_is_seen():
    def draw(rng):
        h, d = rng.normal(size=(120, 107)), rng.normal(size=(120, 16))
        d[:, 5] = h.sum(axis=1)
        return h, d

    assert audits(draw, 10) >= 0.9


def test_the_exclusive_or_of_two_features_is_seen():
    def draw(rng):
        h, d = rng.normal(size=(300, 10)), rng.normal(size=(300, 16))
        d[:, 5] = np.sign(h[:, 0] * h[:, 1])
        return h, d

    assert audits(draw, 5, n_permutations=29) >= 0.8


def test_independent_latents_are_seen_as_often_as_stated():
    def draw(rng):
        return rng.normal(size=(40, 12)), rng.normal(size=(40, 6))

    # 7 of 40 at a level of 0.05 have a chance of 0.4 %.
    assert audits(draw, 40, n_permutations=39) * 40 <= 6


def test_smoothers_are_ridge_regressions_without_the_group():
    h, d = (normal_scores(x) for x in related(24))
    groups = np.arange(24) // 2
    smoother = left_out_smoothers(h, groups)[3]
    for group in range(12):
        out = groups == group
        model = Ridge(alpha=RIDGE_PENALTIES[3] * np.square(h).sum()).fit(h[~out], d[~out])
        np.testing.assert_allclose((smoother @ d)[out], model.predict(h[out]), atol=1e-10)


def test_the_audit_and_the_test_of_added_information_have_the_same_regressions():
    h, groups = normal_scores(related(30)[0]), np.arange(30) // 2
    kernels = (
        (stacked_regression.linear_kernel, stacked_regression.RIDGE_PENALTIES),
        (stacked_regression.gaussian_kernel, stacked_regression.KERNEL_PENALTIES),
    )
    expected = [
        smoother
        for kernel, penalties in kernels
        for smoother in stacked_regression.left_out_smoothers(kernel(h), penalties, groups)
    ]
    np.testing.assert_allclose(left_out_smoothers(h, groups), expected, atol=1e-10)


def test_a_permuted_audit_is_the_audit_of_permuted_rows():
    h, d = (normal_scores(x) for x in related(40))
    groups = np.arange(40) // 2
    order = group_orders(groups, 1, seed=0)[0]
    there = latents_r2(h, d, groups, [order])[0]
    np.testing.assert_allclose(there, latents_r2(h[order], d, groups, [np.arange(40)])[0])


def test_the_detail_names_the_latent_and_the_share_is_that_of_all():
    h, d = independent(80)
    d[:, 2] = 2 * h[:, 0] - h[:, 1]
    frame = pd.DataFrame(d, columns=["dlr0", "dlr1", "dlr2"])
    methods = [METHOD, "share-of-latents"]
    report = redundancy_report(h, frame, methods=methods, n_permutations=19, random_state=0)
    row = report.loc[METHOD]
    assert row["detail"] == "dlr2"
    assert report.loc["share-of-latents", "estimate"] == pytest.approx(1 / 3, abs=0.06)
    assert row["unit"] == "R² of a latent"
    order = np.random.default_rng(1).permutation(80)
    again = redundancy_score(h[order], d[order], METHOD, random_state=0)
    assert again == pytest.approx(row["estimate"])


def test_the_share_is_that_of_the_variance():
    """Of three latents one is a copy, one is half h by variance, and one is independent."""
    rng = np.random.default_rng(0)
    h, noise = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    d = np.column_stack([h[:, 0], h[:, 1] + noise[:, 1], noise[:, 2]])
    assert explained_share(h, d, random_state=0) == pytest.approx(0.5, abs=0.08)
    assert explained_share(h, noise, random_state=0) < 0.05
    # Two rows of a patient are equal: left out together, they explain nothing of each other.
    pair = [np.repeat(x[:60], 2, axis=0) for x in (h, noise)]
    assert explained_share(*pair, groups=np.arange(120) // 2, random_state=0) < 0.1


def test_vectors_with_the_labels_of_other_rows_are_refused():
    h, d = related(40)
    frame = pd.DataFrame(h, index=[f"p{i}" for i in range(40)])
    groups = pd.Series(np.arange(40), index=frame.index)
    expected = redundancy_score(frame, d, METHOD, groups=groups)
    assert expected == redundancy_score(frame, d, METHOD)
    for other in ({"groups": groups[::-1]}, {"d": pd.Series(d[::-1, 0], index=groups.index[::-1])}):
        with pytest.raises(ValueError, match=r"has another index than the rows.*\['p39', 'p38'"):
            redundancy_score(**{"h": frame, "d": d, "method": METHOD, **other})


def test_text_is_named_by_its_column():
    h, d = related(40)
    frame = pd.DataFrame(h, columns=list("abcd")).assign(sex=["f"] * 40)
    with pytest.raises(ValueError, match="h must be numeric, but text is in the columns sex"):
        redundancy_score(frame, d, METHOD)
