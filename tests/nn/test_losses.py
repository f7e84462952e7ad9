"""Each loss term against its closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from nonredundant.nn.losses import (
    LossTerms,
    gaussian_kl,
    label_cross_entropy,
    masked_squared_error,
)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_kl_equals_torchs_for_gaussians(scale):
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3).double()
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, scale))
    torch.testing.assert_close(gaussian_kl(mean, log_variance, scale), expected.sum(1))


def test_kl_with_a_prior_of_its_own_for_each_sample():
    mean, log_variance = torch.ones(2, 2), torch.zeros(2, 2)
    scale = torch.tensor([[1.0], [2.0]])
    both = gaussian_kl(mean, log_variance, scale)
    assert both[0] == gaussian_kl(mean, log_variance)[0]
    assert both[1] == gaussian_kl(mean, log_variance, 2.0)[1]


def test_kl_is_zero_only_at_the_prior():
    assert gaussian_kl(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0
    assert gaussian_kl(torch.full((1, 4), 0.1), torch.zeros(1, 4)).item() > 0


def test_squared_error_counts_the_masks_voxels_alone():
    x, px = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 2.0)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, :2] = True
    assert masked_squared_error(x, px, mask).tolist() == [4.0 * 8 * 3, 0.0]
    assert masked_squared_error(x, px, None).tolist() == [4.0 * 16 * 3] * 2


@pytest.mark.parametrize("masked", [True, False])
def test_the_gradient_of_the_squared_error_is_that_of_its_formula(masked):
    torch.manual_seed(0)
    x, px = (torch.randn(2, 2, 3, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    mask = torch.rand(2, 1, 3, 3) < 0.5 if masked else None
    assert torch.autograd.gradcheck(lambda a, b: masked_squared_error(a, b, mask), (x, px))
    half = px.detach().half().requires_grad_()
    masked_squared_error(x.float().detach(), half, mask).sum().backward()
    assert half.grad.dtype == torch.float16


def test_unlabelled_samples_leave_the_label_term_alone():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = label_cross_entropy(logits, torch.tensor([0, -1]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0.0, 0.0]
    nothing = label_cross_entropy(logits, torch.tensor([-1, -1]))
    nothing.backward()
    assert nothing.item() == 0


def test_weights_of_lesions_make_a_patient_count_once():
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    y = torch.tensor([0, 0, 0, 0])
    weighted = label_cross_entropy(logits, y, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]))
    per_patient = label_cross_entropy(logits[[0, 3]], y[:2])
    assert weighted.item() == pytest.approx(per_patient.item(), rel=1e-6)


def test_total_weighs_the_terms_and_leaves_out_weight_zero():
    one = torch.tensor(1.0)
    terms = LossTerms(one, one * 2, one * 3, torch.tensor(float("nan")), {"salient": one * 5})
    assert terms.total({"kl": 0.5, "label": 0.0}).item() == 1 + 1 + 3 + 5
    assert list(terms.named()) == ["reconstruction", "kl", "independence", "label", "salient"]
