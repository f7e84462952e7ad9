"""The partial likelihood by hand and against scikit-survival."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scores_for_tests import censored
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from nonredundant.nn.losses import cox_loss


def loss(risk, event, time):
    """Return the loss of plain lists."""
    return cox_loss(
        torch.as_tensor(risk, dtype=torch.float64), torch.tensor(event), torch.tensor(time)
    ).item()


def test_the_loss_of_three_patients_by_hand():
    a, b, c = np.exp([0.3, -1.0, 2.0])
    # The first event is a choice of all three, the second of the one who is left.
    expected = -np.log(a / (a + b + c)) / 2
    found = loss([0.3, -1.0, 2.0], [True, False, True], [1.0, 2.0, 3.0])
    assert found == pytest.approx(expected)
    # Censored at the time of an event counts as still under observation.
    found = loss([0.3, -1.0, 2.0], [False, True, True], [2.0, 2.0, 3.0])
    assert found == pytest.approx(-np.log(b / (a + b + c)) / 2)
    # Two events at once, half of both gone before the second: Efron.
    expected = -(np.log(a / (a + b + c)) + np.log(b / (a + b + c - (a + b) / 2))) / 2
    found = loss([0.3, -1.0, 2.0], [True, True, False], [1.0, 1.0, 4.0])
    assert found == pytest.approx(expected)


def test_efrons_ties_are_near_the_mean_over_orders():
    risk, event = [0.3, -0.4, 0.1, 0.0, 0.2, -0.1], [True] * 2 + [False] * 4
    one = loss(risk, event, [1.0, 1.1, 5.0, 5.0, 5.0, 5.0])
    other = loss(risk, event, [1.1, 1.0, 5.0, 5.0, 5.0, 5.0])
    tied = loss(risk, event, [1.0, 1.0, 5.0, 5.0, 5.0, 5.0])
    assert tied == pytest.approx((one + other) / 2, abs=2e-3)


@pytest.mark.parametrize("whole", [False, True])
def test_the_gradient_is_zero_where_scikit_survival_finds_the_optimum(whole):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    _, event, time = censored(150, whole=whole)
    cox = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(X, Surv.from_arrays(event, time))
    coefficients = torch.tensor(cox.coef_, requires_grad=True)
    risk = torch.from_numpy(X) @ coefficients
    cox_loss(risk, torch.from_numpy(event), torch.from_numpy(time)).backward()
    np.testing.assert_allclose(coefficients.grad, 0, atol=1e-6)


@pytest.mark.parametrize("whole", [False, True])
def test_the_loss_depends_on_ranks_of_times_and_differences_of_risks_even_if_large(whole):
    x, event, time = (torch.as_tensor(part) for part in censored(40, whole=whole))
    expected = cox_loss(x, event, time)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for found in (
        cox_loss(x + 7, event, time),
        cox_loss(x[order], event[order], time[order]),
        cox_loss(x, event, time**3),
    ):
        torch.testing.assert_close(found, expected)
    far = (x.float() * 1000).requires_grad_()
    cox_loss(far, event, time).backward()
    assert torch.isfinite(far.grad).all()
    assert torch.autograd.gradcheck(lambda r: cox_loss(r, event, time), x.clone().requires_grad_())


def test_without_events_the_loss_is_zero():
    risk = torch.ones(3, requires_grad=True)
    value = cox_loss(risk, torch.zeros(3, dtype=torch.bool), torch.arange(3.0))
    value.backward()
    assert value.item() == 0.0
    assert not risk.grad.any()
