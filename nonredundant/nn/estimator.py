"""Base class of the estimators that train a network: plan, training, persistence.

A subclass reads its input (`_read`), makes a plan of the training (`_plan`) and passes the plan to
`_fit_net`, which builds the network (`_build_module`), wraps it in a skorch net (`_build_net`) and
trains it. torch is imported only then, so that estimators can be listed and cloned without it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from nonredundant.nn.state import pack, set_arrays, unpack
from nonredundant.utils.validation import Interval, InvalidParameterError

#: Constraints of the parameters that all these estimators share.
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
    """Plan of a training: the arguments of the network, its conditions, labels and loss terms.

    Attributes
    ----------
    spec : dict
        Arguments of the network class as plain types; a saved model rebuilds its network from
        them.
    conditions : array of shape (n_rows, n_conditions)
        Input of the network beside images or features: h, or clinical variables.
    labels : array of shape (n_rows, ...)
        Labels of the label term or of the loss.
    classes : array or None
        Classes that the labels are positions in, stored as `classes_`.
    row_weights : array of shape (n_rows,) or None
        Weight of each row in the label term.
    weights : dict of str to float
        Weight of each term of the loss.
    terms : dict of str to object
        Parts of the loss outside the network: the `independence` and `disentangle` terms of the
        VAE family, the `loss` of graphs.
    targets : array of shape (n_rows, n_outputs) or None
        Numbers whose association with the features sets the initial attention of graphs.
    """

    spec: dict[str, Any]
    conditions: np.ndarray
    labels: np.ndarray
    classes: np.ndarray | None = None
    row_weights: np.ndarray | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    targets: np.ndarray | None = None


class NetworkEstimator(BaseEstimator):
    """Base class of estimators with one network, `net_`, saved as arrays without code."""

    max_epochs: int
    lr: float
    device: str
    random_state: Any
    net_params: dict[str, Any] | None
    verbose: int
    net_: Any
    _spec: dict[str, Any]

    #: Options of `net_params` that are not passed to skorch, with their defaults.
    _own_options: Mapping[str, Any] = {}

    def _module_class(self) -> type:
        """Return the class of the network."""
        raise NotImplementedError

    def _double(self, spec: Mapping[str, Any]) -> bool:
        """Return whether the network computes in double precision."""
        raise NotImplementedError

    def _plan(self, inputs: Any, y: Any) -> TrainingPlan:
        """Return the plan of the training on the inputs that `_read` returned."""
        raise NotImplementedError

    def _build_net(
        self, module: Any, plan: TrainingPlan, valid: Any, n_rows: int, seed: int
    ) -> Any:
        """Build the untrained skorch net of a network."""
        raise NotImplementedError

    def _option(self, name: str) -> Any:
        """Return an option of `net_params` that is not passed to skorch, or its default."""
        return (self.net_params or {}).get(name, self._own_options[name])

    def _net_options(self) -> dict[str, Any]:
        """Return the options of `net_params` that are passed to skorch."""
        options = self.net_params or {}
        return {name: v for name, v in options.items() if name not in self._own_options}

    def _build_module(self, spec: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
        """Build the network of a spec and set some of its arrays."""
        module = self._module_class()(**spec)
        if self._double(spec):
            # Double precision makes results independent of the batch, at little cost for a matrix.
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
        """Train a network and store the result; a run that fails stores nothing.

        Parameters
        ----------
        plan : TrainingPlan
            The plan of the training.
        train, valid : Dataset
            Rows to train on, and held-out rows to evaluate or None.
        arrays : callable
            Returns the arrays of the network that are computed from the training rows.
        seed : int
            Seed of the initial weights, the batches and the draws.
        fit : callable, optional
            Function that trains the net; by default `net.fit(train)`.
        """
        from nonredundant.nn.net import history_of, seeded

        with seeded(seed):
            net = self._net_to_continue(plan, valid, len(train), seed)
            if net is not None and fit is not None:
                raise InvalidParameterError(
                    "net_params['warm_start']: the training of this model is more than epochs and "
                    "always starts from the beginning; leave warm_start out"
                )
            if net is None:
                module = self._build_module(plan.spec, arrays())
                net = self._new_net(module, plan, valid, len(train), seed)
                net.fit(train) if fit is None else fit(net)
            else:
                net.partial_fit(train)
        self.net_ = net
        self._spec = dict(plan.spec)
        self.history_ = history_of(net)
        if plan.classes is not None:
            self.classes_ = plan.classes
        elif hasattr(self, "classes_"):
            # An earlier fit had labels, this one has none.
            del self.classes_

    def _new_net(self, module: Any, plan: TrainingPlan, valid: Any, n_rows: int, seed: int) -> Any:
        """Build the net; raise if `net_params` names an option that it does not have."""
        from nonredundant.nn.options import check_options

        net = self._build_net(module, plan, valid, n_rows, seed)
        check_options(net, self._net_options(), self._own_options)
        return net

    def _net_to_continue(self, plan: TrainingPlan, valid: Any, n_rows: int, seed: int) -> Any:
        """Return the fitted net if `net_params` requests a warm start, else None."""
        warm = (self.net_params or {}).get("warm_start", False)
        if not isinstance(warm, bool | np.bool_):
            raise InvalidParameterError(
                f"net_params['warm_start'] must be True or False, got {warm!r}"
            )
        if not (warm and hasattr(self, "net_")):
            return None
        changed = [name for name, value in plan.spec.items() if self._spec.get(name) != value]
        if changed:
            raise ValueError(
                f"warm_start continues the network of the last fit, but now {changed} differ; "
                "restore the parameters, or fit without warm_start"
            )
        if self._is_restored:
            # Only weights are saved; the moments of the optimiser and the terms start anew.
            return self._build_net(self.net_.module_, plan, valid, n_rows, seed).initialize()
        # A run that fails or is interrupted leaves the fitted net as it was.
        return copy.deepcopy(self.net_)

    @property
    def _is_restored(self) -> bool:
        """Return whether the net was loaded from a file; such a net predicts but cannot train."""
        return getattr(self.net_, "is_restored", False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as arrays and plain types, without classes of other packages."""
        return pack(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state and rebuild the network from its arrays, on the CPU."""
        state, weights = unpack(state)
        super().__setstate__(state)
        if weights is not None:
            from nonredundant.nn.net import restored_net

            self.net_ = restored_net(self._build_module(self._spec, weights))
