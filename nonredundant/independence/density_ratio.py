"""Independence terms by a density ratio: a discriminator that is trained beside the VAE."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant.nn.state import arrays_of, seal, set_arrays, unseal
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import Interval, StrOptions, validate_data

#: Constraints of the parameters of the discriminator and of its training.
RATIO_CONSTRAINTS: dict[str, Any] = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "quadratic": ["boolean"],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
}


class RatioTerm(BaseEstimator):
    """Base of the terms with a network that separates true rows from rows without dependence."""

    hidden_size: int
    n_layers: int
    quadratic: bool
    lr: float
    weight_decay: float
    #: When training calls `update`: after each step.
    fit_mode: Any = "step"

    def reset(self, n_h: int, n_d: int, *, device: str = "cpu", seed: int = 0) -> None:
        """Build a new network and its optimiser.

        Parameters
        ----------
        n_h, n_d : int
            Sizes of h and d.
        device : str, default="cpu"
            Device of the training.
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
        """Build an untrained network."""
        from nonredundant.nn.density_ratio import DensityRatio

        return DensityRatio(n_h, n_d, self.hidden_size, self.n_layers, self.quadratic)

    def _network_for(self, h: Any, d: Any) -> Any:
        """Return the network in the precision of the rows; build it if there is none."""
        if not hasattr(self, "_network"):
            self.reset(h.shape[1], d.shape[1], device=str(d.device))
        return self._network.to(d.dtype)

    def _n_steps(self) -> int:
        """Return the number of training steps per update."""
        raise NotImplementedError

    def _permuted(self, h: Any, d: Any) -> tuple[Any, Any]:
        """Permute rows so that the margins stay and the dependence is removed."""
        raise NotImplementedError

    def update(self, h: Any, d: Any) -> float:
        """Train the discriminator; h and d are constants.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows: a batch, or the whole training cohort if `fit_mode` is "scheduled".

        Returns
        -------
        float
            Last binary cross-entropy, in nats; ln 2 if the rows cannot be separated.
        """
        from nonredundant.nn.density_ratio import discrimination_loss
        from nonredundant.nn.penalties import standardise

        network = self._network_for(h, d)
        true = standardise(h.detach()), standardise(d.detach())
        loss = d.new_zeros(())
        for _ in range(self._n_steps()):
            loss = discrimination_loss(network, true, self._permuted(*true))
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        return float(loss.detach())

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the network and optimiser."""
        state = dict(super().__getstate__())
        for name in ("_network", "_optimiser", "_generator"):
            state.pop(name, None)
        return state


class TotalCorrelation(RatioTerm):
    """Total correlation of the columns of a batch, as a measure of their mutual dependence.

    KL(p(d) || p(d_1) ... p(d_k)), in nats, by the density-ratio trick of FactorVAE (Kim & Mnih
    2018, arXiv 1802.05983): a network separates rows of d from rows whose columns were permuted
    separately over the batch; the penalty is the mean of its logit.

    Parameters
    ----------
    hidden_size : int, default=64
        Units of each hidden layer.
    n_layers : int, default=2
        Hidden layers.
    quadratic : bool, default=True
        Whether to add a quadratic form, the log-ratio of Gaussians, to the perceptron.
    lr : float, default=3e-3
        Learning rate of AdamW.
    weight_decay : float, default=1e-2
        Weight decay of AdamW.
    n_updates : int, default=4
        Steps of this network per step of the VAE, each with new permutations. With one step the
        network lags behind the VAE, and half of the dependence remains.

    Notes
    -----
    The term acts within d: training passes it the pair (d, no columns).

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
        """Compute the mean log-ratio of a batch, differentiable in its rows.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, whose columns are concatenated; pass d without columns for h alone.

        Returns
        -------
        Tensor
            A scalar, in nats.
        """
        from nonredundant.nn.density_ratio import frozen_logit

        return frozen_logit(self._network_for(h, d), h, d).mean()

    def _permuted(self, h: Any, d: Any) -> tuple[Any, Any]:
        from nonredundant.nn.density_ratio import permuted_columns

        return permuted_columns(h, self._generator), permuted_columns(d, self._generator)

    def _n_steps(self) -> int:
        return self.n_updates


class MIDiscriminator(RatioTerm):
    """Mutual information by the density-ratio trick, as an independence term and as an estimator.

    A network separates rows (h_i, d_i) from re-paired rows (h_k, d_j), k ≠ j; its logit estimates
    log p(h, d) / p(h) p(d) (Vétil et al. 2023, arXiv 2308.11389, eq. 3). As a term, the penalty
    is the mean ReLU of the logit. As an estimator, `fit(H, D).score(H_test, D_test)` is the mutual
    information in nats on held-out rows.

    Parameters
    ----------
    hidden_size : int, default=64
        Units of each hidden layer.
    n_layers : int, default=2
        Hidden layers.
    quadratic : bool, default=True
        Whether to add a quadratic form, the log-ratio of Gaussians, to the perceptron.
    lr : float, default=3e-3
        Learning rate of AdamW.
    weight_decay : float, default=1e-2
        Weight decay of AdamW.
    batch_size : int, default=256
        Rows per step of `fit`.
    max_epochs : int, default=60
        Maximum number of epochs of `fit`, which stops early by the loss of a held-out fifth of the
        rows.
    schedule : {"step", "alternate"}, default="step"
        As a term: trained one step per batch, or fully every few epochs (as in the paper).
    every : int, default=5
        With "alternate": epochs of the VAE between two trainings.
    n_epochs : int, default=150
        With "alternate": full-batch epochs per training.
    random_state : int, RandomState or None, default=None
        Seed of `fit`; as a term, the seed of the VAE is used.

    Attributes
    ----------
    n_features_in_ : int
        Columns of H.
    n_outputs_ : int
        Columns of D.
    network_ : torch.nn.Module
        The trained discriminator.

    Notes
    -----
    As a term, its value is no evidence of independence: the VAE adapts to this particular
    network, while a newly trained one still separates the pairs. Only
    `nonredundant.metrics.redundancy_report` on held-out rows is evidence.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> H = rng.normal(size=(400, 1))
    >>> D = H + rng.normal(size=(400, 1))
    >>> nats = MIDiscriminator(random_state=0).fit(H[:300], D[:300]).score(H[300:], D[300:])
    >>> 0.15 < nats < 0.6  # the truth is ln(2) / 2 = 0.35
    True
    """

    _parameter_constraints = {
        **RATIO_CONSTRAINTS,
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "schedule": [StrOptions({"step", "alternate"})],
        "every": [Interval(Integral, 1, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        hidden_size: int = 64,
        n_layers: int = 2,
        *,
        quadratic: bool = True,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 256,
        max_epochs: int = 60,
        schedule: str = "step",
        every: int = 5,
        n_epochs: int = 150,
        random_state: Any = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.quadratic = quadratic
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.schedule = schedule
        self.every = every
        self.n_epochs = n_epochs
        self.random_state = random_state

    # As an independence term ----------------------------------------------------------------

    @property
    def fit_mode(self) -> str:
        """When training calls `update`: after each step, or every `every` epochs with all rows."""
        return "step" if self.schedule == "step" else "scheduled"

    def penalty(self, h: Any, d: Any) -> Any:
        """Compute the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows.

        Returns
        -------
        Tensor
            Mean ReLU of the logit of the true pairs (Vétil et al. 2023, eq. 3), in nats.
        """
        from nonredundant.nn.density_ratio import frozen_logit

        return frozen_logit(self._network_for(h, d), h, d).relu().mean()

    def _n_steps(self) -> int:
        return 1 if self.schedule == "step" else self.n_epochs

    def _permuted(self, h: Any, d: Any) -> tuple[Any, Any]:
        from nonredundant.nn.density_ratio import repaired

        return h[repaired(len(h), self._generator)], d

    # As an estimator ------------------------------------------------------------------------

    def fit(self, H: Any, D: Any) -> MIDiscriminator:
        """Fit the discriminator to paired rows.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            First variables.
        D : array-like of shape (n, n_d) or (n,)
            Second variables, of the same rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If H and D differ in their number of rows or contain NaN or infinity.
        FloatingPointError
            If the training diverges.

        Warns
        -----
        UserWarning
            If the network cannot have learned anything, as lr is far too high or too low.
        """
        import torch

        from nonredundant.nn.density_ratio import train_ratio

        self._validate_params()
        with unchanged_on_failure(self):
            h, d = self._sides(H, D, ensure_min_samples=4)
            self.n_outputs_ = d.shape[1]
            self.means_ = [h.mean(axis=0), d.mean(axis=0)]
            self.scales_ = [np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0) for x in (h, d)]
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.network_ = train_ratio(
                    self._build(h.shape[1], d.shape[1]),
                    *self._tensors(h, d),
                    lr=self.lr,
                    weight_decay=self.weight_decay,
                    batch_size=self.batch_size,
                    max_epochs=self.max_epochs,
                    generator=torch.Generator().manual_seed(seed),
                )
            self.seed_ = seed
        return self

    def _sides(self, H: Any, D: Any, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
        """Check H and D and return them as matrices."""
        if D is None:
            raise ValueError("D is None: give the second variables of the rows of H")
        h = validate_data(self, H, dtype=np.float64, ensure_all_finite=False, **settings)
        d = check_array(
            D, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="D"
        )
        if len(h) != len(d):
            raise ValueError(
                f"H has {len(h)} rows but D has {len(d)}: their rows are pairs, of the same cases"
            )
        sides = {"H": h, "D": d.reshape(len(d), -1)}
        for name, side in sides.items():
            odd = np.flatnonzero(~np.isfinite(side).all(axis=1))
            if len(odd):
                raise ValueError(
                    f"{name} has NaN or infinite values in {len(odd)} of {len(side)} rows, the "
                    f"first at positions {odd[:5].tolist()}; impute them or leave these rows out"
                )
        return sides["H"], sides["D"]

    def _tensors(self, h: np.ndarray, d: np.ndarray) -> list[Any]:
        """Return H and D standardised as in `fit`."""
        import torch

        sides = zip((h, d), self.means_, self.scales_, strict=True)
        return [torch.as_tensor((x - m) / s, dtype=torch.float32) for x, m, s in sides]

    def _read(self, H: Any, D: Any) -> list[Any]:
        """Check new rows against those of `fit` and return them standardised."""
        check_is_fitted(self, "network_")
        h, d = self._sides(H, D, reset=False)
        if d.shape[1] != self.n_outputs_:
            raise ValueError(f"D has {d.shape[1]} columns but had {self.n_outputs_} at fit")
        return self._tensors(h, d)

    def score(self, H: Any, D: Any) -> float:
        """Estimate the mutual information of held-out rows, in nats.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            First variables.
        D : array-like of shape (n, n_d) or (n,)
            Second variables, of the same rows.

        Returns
        -------
        float
            Donsker–Varadhan lower bound; negative if only noise was learned.
        """
        import torch

        from nonredundant.nn.density_ratio import information

        h, d = self._read(H, D)
        return information(self.network_, h, d, torch.Generator().manual_seed(self.seed_))

    def predict_proba(self, H: Any, D: Any) -> np.ndarray:
        """Estimate the probability that each row is a true pair rather than a re-paired one.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            First variables.
        D : array-like of shape (n, n_d) or (n,)
            Second variables, of the same rows.

        Returns
        -------
        array of shape (n, 2)
            Probabilities of "re-paired" and "true pair".
        """
        import torch

        sides = self._read(H, D)
        with torch.no_grad():
            true = torch.sigmoid(self.network_(*sides).double()).numpy()
        return np.column_stack([1 - true, true])

    # Persistence ---------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the weights of the network as arrays."""
        state = super().__getstate__()
        network = state.pop("network_", None)
        if network is None:
            return state
        return seal({**state, "_network_weights": arrays_of(network)})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state and rebuild the network from its weights, on the CPU.

        Raises
        ------
        ValueError
            If the state has another format number or values that differ from their checksums.
        """
        state = unseal(state)
        weights = state.pop("_network_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.network_ = self._build(self.n_features_in_, self.n_outputs_)
            set_arrays(self.network_, weights)
