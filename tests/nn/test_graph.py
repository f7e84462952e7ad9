"""The network of the lesion graph against finite differences."""

from __future__ import annotations

import pytest
import torch
from patients_for_tests import make_cohort

from nonredundant.lesions.edges import lesion_edges
from nonredundant.nn.graph import GraphBatch, LesionGraphNet


@pytest.mark.parametrize("readout", ["attention", "mean", "max"])
@pytest.mark.parametrize("clinical", ["cross-attention", "concat"])
def test_gradients_are_those_of_finite_differences(readout, clinical):
    torch.manual_seed(0)
    net = LesionGraphNet(
        3, 2, 2, hidden_size=4, n_layers=1, heads=2, clinical=clinical, readout=readout, dropout=0.0
    ).double()
    for parameter in net.parameters():  # branches start from zero, where much has no gradient
        torch.nn.init.normal_(parameter, std=0.5)
    table, _ = make_cohort([1, 3, 2])
    edges = lesion_edges(table, "complete", 1, 1.0)
    parts = [torch.as_tensor(part) for part in (table.sample, edges.source, edges.target)]
    nodes = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    clinic = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    far = torch.as_tensor(edges.distance / 100).double().requires_grad_()

    def logits(nodes, clinic, far, *_):
        return net(GraphBatch(clinic, nodes, *parts, far, torch.zeros(3))).logits

    inputs = (nodes, clinic, far, *net.parameters())
    assert torch.autograd.gradcheck(logits, inputs, atol=1e-6, fast_mode=True)
