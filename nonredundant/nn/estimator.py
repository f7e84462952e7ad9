"""The base of every estimator that trains a network: plan, training, persistence.

A subclass reads its input (`_read`), plans the training (`_plan`), and calls `_fit_net`. torch is
imported when a network is built, so that estimators can be listed and cloned without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from nonredundant.nn.state import pack, set_arrays, unpack
from nonredundant.utils.validation import Interval

#: Constraints of the parameters that every such estimator has.
NET_CONSTRAINTS: dict[str, Any] = {
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "device": [str],
    "random_state": ["random_state"],
    "net_params": [None, dict],
    "verbose": ["verbose"],
}


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained: a network and its loss, on what, with which labels.

    Attributes
    ----------
    module : type
        Class of the network.
    spec : dict
        Its arguments, plain types: a saved model builds the network from them.
    conditions : array of shape (n_rows, n_conditions)
        What is given beside the rows' images or features: h, or clinical variables.
    labels : array of shape (n_rows, ...)
        What the label term or the loss reads.
    classes : array or None
        Classes that the labels are positions of, kept as `classes_`.
    row_weights : array of shape (n_rows,) or None
        How much each row counts in the label term.
    weights : dict of str to float
        Weight of each term of the loss.
    terms : dict of str to object
        Parts of the loss that are not of the network: `independence` and `disentangle` terms of
        the VAE family, the `loss` of graphs.
    targets : array of shape (n_rows, n_outputs) or None
        Numbers whose association with the features sets where a graph's training starts.
    """

    module: type
    spec: dict[str, Any]
    conditions: np.ndarray
    labels: np.ndarray
    classes: np.ndarray | None = None
    row_weights: np.ndarray | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    targets: np.ndarray | None = None


class NetworkEstimator(BaseEstimator):
    """Trains one network and holds it in `net_`; saved models hold arrays, no code."""

    max_epochs: int
    lr: float
    device: str
    random_state: Any
    net_params: dict[str, Any] | None
    verbose: int
    net_: Any
    _spec: dict[str, Any]

    #: Options of `net_params` that the estimator reads itself, with their defaults.
    _own_options: Mapping[str, Any] = {}

    def _module_class(self) -> type:
        """Return the class of the network."""
        raise NotImplementedError

    def _double(self, spec: Mapping[str, Any]) -> bool:
        """Whether the network computes in double precision."""
        raise NotImplementedError

    def _plan(self, inputs: Any, y: Any) -> TrainingPlan:
        """Return what is trained on the inputs that `_read` made."""
        raise NotImplementedError

    def _build_net(
        self, module: Any, plan: TrainingPlan, valid: Any, n_rows: int, seed: int
    ) -> Any:
        """Return an untrained net around a module."""
        raise NotImplementedError

    def _option(self, name: str) -> Any:
        """Return an option of `net_params` that the estimator reads itself."""
        return (self.net_params or {}).get(name, self._own_options[name])

    def _net_options(self) -> dict[str, Any]:
        """Return the options of `net_params` that skorch reads."""
        options = self.net_params or {}
        return {name: v for name, v in options.items() if name not in self._own_options}

    def _build_module(self, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        """Return a network of the spec, with some of its arrays set."""
        module = self._module_class()(**spec)
        if self._double(spec):
            # Rows of a matrix are cheap: doubles make results independent of their batch.
            module = module.double()
        set_arrays(module, dict(arrays))
        return module

    def _fit_net(
        self,
        plan: TrainingPlan,
        train: Any,
        valid: Any,
        arrays: Callable[[], Mapping[str, np.ndarray]],
        seed: int,
        *,
        fit: Callable[[Any], Any] | None = None,
    ) -> None:
        """Train a net; nothing is kept of a run that fails.

        Parameters
        ----------
        plan : TrainingPlan
            What is trained.
        train, valid : Dataset
            Rows to train on, and rows to evaluate or None.
        arrays : callable
            Gives the arrays of the network that are set from the training rows.
        seed : int
            Seed of initial weights, batches and draws.
        fit : callable, optional
            Trains the net; by default `net.fit(train)`.
        """
        from nonredundant.nn.net import history_of, seeded

        with seeded(seed):
            net = self._net_to_continue(plan, valid, len(train), seed)
            if net is None:
                module = self._build_module(plan.spec, arrays())
                net = self._build_net(module, plan, valid, len(train), seed)
                net.fit(train) if fit is None else fit(net)
            else:
                net.partial_fit(train)
        self.net_ = net
        self._spec = dict(plan.spec)
        self.history_ = history_of(net)
        if plan.classes is not None:
            self.classes_ = plan.classes
        elif hasattr(self, "classes_"):
            # A fit without labels after one with labels.
            del self.classes_

    def _net_to_continue(self, plan: TrainingPlan, valid: Any, n_rows: int, seed: int) -> Any:
        """Return the fitted net where `net_params` asks for a warm start, else None."""
        if not ((self.net_params or {}).get("warm_start") and hasattr(self, "net_")):
            return None
        if self._is_restored:
            # The saved weights; the optimiser's moments and the terms start anew.
            return self._build_net(self.net_.module_, plan, valid, n_rows, seed).initialize()
        return self.net_

    @property
    def _is_restored(self) -> bool:
        """Whether the net comes from a saved model, so that it can predict but not train."""
        return getattr(self.net_, "is_restored", False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as arrays and plain types, so that no foreign class is pickled."""
        return pack(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network, on the CPU, from its arrays."""
        state, weights = unpack(state)
        super().__setstate__(state)
        if weights is not None:
            from nonredundant.nn.net import restored_net

            self.net_ = restored_net(self._build_module(self._spec, weights))
