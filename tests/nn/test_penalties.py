"""Penalties against other implementations, their definitions, and what independence means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nonredundant.nn.penalties import (
    cross_covariance,
    distance_correlation,
    equalise,
    hsic,
    second_order,
    squared_distances,
)

PENALTIES = [distance_correlation, hsic, cross_covariance]


def make_pairs(n=40, n_h=5, n_d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(n, n_h, generator=generator, dtype=torch.float64)
    return h, torch.randn(n, n_d, generator=generator, dtype=torch.float64)


def scaled(x):
    return ((x - x.mean(0)) / x.std(0, unbiased=False)).numpy()


def test_distance_correlation_equals_dcors():
    i = torch.arange(40, dtype=torch.float64)
    h = torch.sin(i[:, None] * torch.tensor([0.7, 1.3, 2.9], dtype=torch.float64))
    d = torch.stack([h[:, 0] ** 2 + 0.3 * torch.cos(5.1 * i), torch.cos(1.7 * i)], dim=1)
    # u_distance_correlation_sqr of dcor 0.7, of both sides standardised.
    assert distance_correlation(h, d).item() == pytest.approx(0.05633154972767792, abs=1e-6)


def test_hsic_equals_its_definition():
    h, d = make_pairs()
    d = d + h[:, :3].sin()
    n = len(h)
    centred = []
    for x in (scaled(h), scaled(d)):
        distances = ((x[:, None] - x[None]) ** 2).sum(-1)
        k = np.exp(-distances / (2 * x.shape[1]))
        np.fill_diagonal(k, 0)
        u = np.zeros_like(k)
        for i in range(n):
            for j in range(n):
                if i != j:
                    rows = (k[i].sum() + k[j].sum()) / (n - 2)
                    u[i, j] = k[i, j] - rows + k.sum() / ((n - 1) * (n - 2))
        centred.append(u)
    a, b = centred
    expected = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    assert hsic(h, d).item() == pytest.approx(expected, abs=1e-8)


def test_cross_covariance_equals_numpys_correlations():
    h, d = make_pairs()
    d = d + h[:, :3]
    n = len(h)
    squares = (np.corrcoef(h.T, d.T)[:5, 5:] ** 2).mean()
    expected = (squares - 1 / (n - 1)) * (n - 1) / (n - 2)
    assert cross_covariance(h, d).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_mean_is_zero_under_independence(penalty):
    values = np.array([penalty(*make_pairs(32, seed=seed)).item() for seed in range(400)])
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_scale_and_shift_of_either_side_do_not_matter(penalty):
    h, d = make_pairs()
    moved = penalty(h * 7 + 3, d * torch.tensor([0.01, 5.0, 100.0]) - 2)
    assert moved.item() == pytest.approx(penalty(h, d).item(), abs=1e-5)


@pytest.mark.parametrize("penalty", [distance_correlation, hsic])
def test_nonlinear_dependence_without_correlation_is_seen(penalty):
    h, _ = make_pairs(200, 1)
    assert penalty(h, h.square()).item() > 0.1
    symmetric = torch.cat([h, -h])
    assert abs(cross_covariance(symmetric, symmetric.square()).item()) < 0.01


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_equals_finite_differences(penalty):
    h, d = make_pairs(8, 3, 2)
    assert torch.autograd.gradcheck(lambda d: penalty(h, d), d.requires_grad_())


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_is_finite_where_all_latents_coincide(penalty):
    h, _ = make_pairs(8, 3, 2)
    d = torch.zeros(8, 2, dtype=torch.float64, requires_grad=True)
    penalty(h, d).backward()
    assert d.grad is not None
    assert torch.isfinite(d.grad).all()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_rows_that_do_not_match_or_do_not_suffice(penalty):
    h, d = make_pairs()
    with pytest.raises(ValueError, match="40 rows but d has 39"):
        penalty(h, d[:-1])
    with pytest.raises(ValueError, match="at least 4 rows, got 3"):
        penalty(h[:3], d[:3])


def test_second_order_distances_are_those_of_all_products():
    _, d = make_pairs()
    products = (d[:, :, None] * d[:, None, :]).flatten(1)
    torch.testing.assert_close(second_order(d), squared_distances(products))


def test_equal_directions_bring_out_what_few_features_say():
    """Fifty copies of one factor hide another, until directions count alike."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(200, 51, generator=generator, dtype=torch.float64)
    h = torch.cat([factors[:, :1].expand(-1, 50), factors[:, 1:]], dim=1) + noise
    hidden = factors[:, 1:]
    assert distance_correlation(h, hidden) < 0.1
    assert distance_correlation(h, hidden, equal=True) > 0.25
    directions = torch.linalg.svdvals(equalise(h)) / len(h) ** 0.5
    assert directions[0] < 1
    assert directions[1] > 0.6


def test_the_second_order_sees_a_spread_that_follows_h():
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(300, 1, generator=generator, dtype=torch.float64)
    d = (0.5 * h).exp() * torch.randn(300, 8, generator=generator, dtype=torch.float64)
    first = distance_correlation(h, d)
    assert distance_correlation(h, d, second=1.0) - first > 2 * first


def test_a_copy_of_h_counts_the_same_among_few_and_among_many_latents():
    torch.manual_seed(0)
    h = torch.randn(400, 3)
    copy, noise = h[:, :1], torch.randn(400, 63)
    found = []
    for others in (7, 63):
        d = torch.cat([copy, noise[:, :others]], dim=1)
        joint = distance_correlation(h, d)
        found.append((joint.item(), (distance_correlation(h, d, single=1.0) - joint).item()))
    assert found[0][0] > 3 * found[1][0]
    alone = distance_correlation(h, copy).item()
    assert found[0][1] == pytest.approx(alone, abs=0.05)
    assert found[1][1] == pytest.approx(alone, abs=0.05)


def test_the_sum_over_latents_is_that_of_each_alone_times_its_variance():
    torch.manual_seed(1)
    h = torch.randn(60, 4)
    d = torch.cat([h[:, :1] + torch.randn(60, 1), 0.3 * h[:, 1:2], 5 * torch.randn(60, 1)], dim=1)
    each = [
        distance_correlation(h, d[:, [j]]) * min(1.0, d[:, j].var(0, correction=0))
        for j in range(3)
    ]
    added = distance_correlation(h, d, single=0.5) - distance_correlation(h, d)
    assert added.item() == pytest.approx(0.5 * sum(each).item(), abs=1e-5)
