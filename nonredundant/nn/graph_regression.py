"""The sparse regression of a graph: the start of its training and the reference for its branches.

The few weights of the relevance of lesions, and those of their features, distances and clinical
variables, are fitted jointly by L-BFGS on all training patients. Stochastic steps together with the
branches do not find them among many uninformative features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from nonredundant.nn.batches import PatientDataset
from nonredundant.nn.graph import GraphBatch, LesionGraphNet
from nonredundant.nn.graph_training import GraphNet

#: Penalties of the weights, added to the sum of the losses of the patients: half the ridge
#: constant times the squares plus the lasso constant times the absolute values.
_RELEVANCE_RIDGE, _RELEVANCE_LASSO = 1.0, 20.0
_RIDGE, _LASSO = 2.0, 5.0
#: Scale below which absolute values are smoothed, so that they have a gradient at 0.
_ROUND = 0.01
_MAX_ITERATIONS = 150
#: Tolerances of L-BFGS for the gradient and for the step.
_SLOPE, _STEP = 1e-4, 1e-6
#: Least gain of the branches in standard errors; the same patients also chose their best epoch.
_CLEAR = 2.0
Loss = Callable[[Tensor, Tensor], Tensor]


def fit_regression(net: LesionGraphNet, batch: GraphBatch, loss: Loss, free: Tensor) -> None:
    """Fit the relevance and the regression to patients, with fixed branches, and freeze them.

    The relevance weights of the features marked in `free` (n_features,) have no lasso penalty, so
    that attention stays on them unless the data clearly favour others.
    """
    own, direct = net.readout.own.weight, net.regression.weight
    parameters = [own, *net.regression.parameters()]
    others = 1 - free.to(own)
    n_patients, n_features = len(batch.clinical), batch.nodes.shape[1]
    net.eval()
    with torch.no_grad():
        edges = net.basis(batch.distance, batch.source == batch.target)
        context, added, *_ = net.branches(batch, edges)
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=_SLOPE,
        tolerance_change=_STEP,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits, *_ = net.read_out(batch, edges, context, added)
        prior = _RELEVANCE_RIDGE / 2 * own.square().sum()
        prior = prior + _RELEVANCE_LASSO * (others * absolute(own)).sum()
        prior = prior + _RIDGE / 2 * direct.square().sum()
        prior = prior + _LASSO * absolute(direct[:, :n_features]).sum()
        total = loss(logits, batch.label) + prior / n_patients
        total.backward()
        return total

    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer.step(closure)
    net.zero_grad()
    for parameter in parameters:
        parameter.requires_grad_(False)


def absolute(values: Tensor) -> Tensor:
    """Return smoothed absolute values."""
    return (values.square() + _ROUND**2).sqrt() - _ROUND


@torch.no_grad()
def clearly_better(logits: Tensor, than: Tensor, label: Tensor, loss: Loss) -> bool:
    """Return whether the loss of the logits is smaller by `_CLEAR` jackknife standard errors."""

    def gain(rows: Tensor) -> Tensor:
        return loss(than[rows], label[rows]) - loss(logits[rows], label[rows])

    everyone = torch.arange(len(label))
    without = torch.stack([gain(everyone[everyone != i]) for i in everyone])
    error = ((len(label) - 1) * without.var(correction=0)).sqrt()
    return bool(gain(everyone) > _CLEAR * error)


def train_graph(
    net: GraphNet, train: PatientDataset, valid: PatientDataset | None, everyone: PatientDataset
) -> None:
    """Fit the regression, train the branches on its residual, then refit it to all patients.

    The branches are kept if they are clearly better than none on the held-out patients.
    """
    module, loss = net.module, net.loss
    free = module.readout.own.weight.detach()[0] != 0
    fit_regression(module, whole(train), loss, free)
    if valid is None:
        net.fit(train)
        return
    before, held = copy.deepcopy(module.state_dict()), whole(valid)
    than = module(held).logits
    net.fit(train)
    module = net.module_.cpu().eval()
    if not clearly_better(module(held).logits, than, held.label, loss):
        module.load_state_dict(before)
    fit_regression(module, whole(everyone), loss, free)
    module.to(net.device)


def whole(dataset: PatientDataset) -> GraphBatch:
    """Return all patients of a dataset as one batch."""
    return dataset.__getitems__(range(len(dataset)))
