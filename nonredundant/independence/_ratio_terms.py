"""The terms that train a density ratio beside the network, and `TotalCorrelation`, one of them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator

from nonredundant._validation import Interval

#: Constraints of the ratio's network and of its training.
RATIO_CONSTRAINTS: dict[str, Any] = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "quadratic": ["boolean"],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
}


class RatioTerm(BaseEstimator):
    """Base of the terms whose network tells true rows from rows without the dependence."""

    hidden_size: int
    n_layers: int
    quadratic: bool
    lr: float
    weight_decay: float
    #: How training calls `update`: after each step.
    fit_mode: Any = "step"

    def reset(self, n_h: int, n_d: int, *, device: str = "cpu", seed: int = 0) -> None:
        """Build a new network and its optimiser.

        Parameters
        ----------
        n_h, n_d : int
            Sizes of h and d.
        device : str, default="cpu"
            Where training runs.
        seed : int, default=0
            Seed of initial weights and pairings.
        """
        import torch

        self._validate_params()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._network = self._build(n_h, n_d).to(device)
        self._generator = torch.Generator().manual_seed(seed)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )

    def _build(self, n_h: int, n_d: int) -> Any:
        """Return an untrained network."""
        from nonredundant.nn.discriminator import DensityRatio

        return DensityRatio(n_h, n_d, self.hidden_size, self.n_layers, self.quadratic)

    def _network_for(self, h: Any, d: Any) -> Any:
        """Return the network in the rows' precision, a new one if there is none."""
        if not hasattr(self, "_network"):
            self.reset(h.shape[1], d.shape[1], device=str(d.device))
        return self._network.to(d.dtype)

    def _n_steps(self) -> int:
        """Return how many steps an update takes."""
        raise NotImplementedError

    def _broken(self, h: Any, d: Any) -> tuple[Any, Any]:
        """Return rows of the same margins without the dependence."""
        raise NotImplementedError

    def update(self, h: Any, d: Any) -> float:
        """Train the network on rows that are held fixed.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows: a batch, or the whole training cohort if the term is scheduled.

        Returns
        -------
        float
            The last binary cross-entropy, in nats; ln 2 where nothing can be told apart.
        """
        from nonredundant.nn.discriminator import discrimination_loss
        from nonredundant.nn.penalties import standardise

        network = self._network_for(h, d)
        true = standardise(h.detach()), standardise(d.detach())
        loss = d.new_zeros(())
        for _ in range(self._n_steps()):
            loss = discrimination_loss(network, true, self._broken(*true))
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        return float(loss.detach())

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what training built."""
        state = dict(super().__getstate__())
        for name in ("_network", "_optimiser", "_generator"):
            state.pop(name, None)
        return state


class TotalCorrelation(RatioTerm):
    """Total correlation of a batch's columns: how far from independent of each other they are.

    KL(p(d) || p(d_1) ... p(d_k)), in nats, by the density-ratio trick of FactorVAE (Kim & Mnih
    2018, arXiv 1802.05983): a network tells rows of d from rows whose columns were permuted
    over the batch, each on its own; the penalty is the mean of its logit.

    Parameters
    ----------
    hidden_size : int, default=64
        Units of each hidden layer.
    n_layers : int, default=2
        Hidden layers.
    quadratic : bool, default=True
        Add a quadratic form, which the log-ratio of Gaussians is, to the perceptron.
    lr : float, default=3e-3
        Learning rate of AdamW.
    weight_decay : float, default=1e-2
        Weight decay of AdamW.
    n_updates : int, default=4
        Steps of this network for each one of the VAE's, each with permutations of its own. With
        one step the VAE runs ahead of the network, and half of the dependence stays.

    Notes
    -----
    What it keeps apart lies within one side: training gives it the pair (d, nothing).

    Examples
    --------
    >>> import torch
    >>> d, nothing = torch.randn(500, 1).repeat(1, 2), torch.empty(500, 0)
    >>> term = TotalCorrelation()
    >>> round(term.penalty(d, nothing).item(), 4)  # an untrained ratio is 1
    0.0
    >>> losses = [term.update(d, nothing) for _ in range(30)]
    >>> losses[-1] < 0.5 < losses[0], term.penalty(d, nothing).item() > 1
    (True, True)
    """

    _parameter_constraints = {
        **RATIO_CONSTRAINTS,
        "n_updates": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_size: int = 64,
        n_layers: int = 2,
        *,
        quadratic: bool = True,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        n_updates: int = 4,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.quadratic = quadratic
        self.lr = lr
        self.weight_decay = weight_decay
        self.n_updates = n_updates

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the mean log-ratio of a batch, differentiable in its rows.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, whose columns are taken together; d without columns for h alone.

        Returns
        -------
        Tensor
            A scalar, in nats.
        """
        from nonredundant.nn.discriminator import frozen_logit

        return frozen_logit(self._network_for(h, d), h, d).mean()

    def _broken(self, h: Any, d: Any) -> tuple[Any, Any]:
        from nonredundant.nn.discriminator import permuted_columns

        return permuted_columns(h, self._generator), permuted_columns(d, self._generator)

    def _n_steps(self) -> int:
        return self.n_updates
