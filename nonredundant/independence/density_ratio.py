"""The independence terms: what keeps d independent of h while a network is trained."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant._ratio_terms import RATIO_CONSTRAINTS, RatioTerm, TotalCorrelation
from nonredundant._validation import Interval, StrOptions, validate_data

__all__ = [
    "HSIC",
    "ClosedFormTerm",
    "CrossCovariance",
    "DistanceCorrelation",
    "MIDiscriminator",
    "TotalCorrelation",
    "resolve_independence",
]


class ClosedFormTerm(BaseEstimator):
    """A term without parameters of its own: `update` and `reset` have nothing to do."""

    #: How training calls `update`: never.
    fit_mode = "closed-form"

    def reset(self, n_h: int, n_d: int, *, device: str = "cpu", seed: int = 0) -> None:
        """Start anew: there is nothing to build.

        Parameters
        ----------
        n_h, n_d : int
            Sizes of h and d.
        device : str, default="cpu"
            Where training runs.
        seed : int, default=0
            Seed of initial weights, for the terms that have some.
        """

    def update(self, h: Any, d: Any) -> float:
        """Train the term's own parameters: there are none.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows.

        Returns
        -------
        float
            0.0, the loss of nothing.
        """
        return 0.0


class DistanceCorrelation(ClosedFormTerm):
    """Bias-corrected squared distance correlation of a batch's h and d.

    Sees any dependence, also nonlinear, of h as a whole on d as a whole (Székely & Rizzo 2014,
    Ann. Stat. 42, 2382).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether h's principal directions count about alike. Otherwise those that most features
        share, size and uptake, hide the others, and what few features say stays in d.
    second_order : float, default=0.5
        Weight of the distance correlation of h with the squares and products of d, added to that
        with d. A spread of d that follows h hardly moves the latter, but a forest finds it.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(DistanceCorrelation(second_order=0).penalty(h, -h).item(), 4)
    1.0
    """

    _parameter_constraints = {
        "equal_directions": ["boolean"],
        "second_order": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, equal_directions: bool = True, second_order: float = 0.5) -> None:
        self.equal_directions = equal_directions
        self.second_order = second_order

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import distance_correlation

        return distance_correlation(h, d, equal=self.equal_directions, second=self.second_order)


class HSIC(ClosedFormTerm):
    """Normalised Hilbert–Schmidt independence criterion of a batch's h and d.

    Gaussian kernels on standardised rows (Gretton et al. 2005; unbiased, Song et al. 2012).

    Parameters
    ----------
    equal_directions : bool, default=True
        Whether h's principal directions count about alike; see `DistanceCorrelation`.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(HSIC().penalty(h, -h).item(), 4)
    1.0
    """

    _parameter_constraints = {"equal_directions": ["boolean"]}

    def __init__(self, *, equal_directions: bool = True) -> None:
        self.equal_directions = equal_directions

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import hsic

        return hsic(h, d, equal=self.equal_directions)


class CrossCovariance(ClosedFormTerm):
    """Mean squared correlation of a batch's h and d: linear dependence alone.

    Examples
    --------
    >>> import torch
    >>> h = torch.arange(8.0)[:, None]
    >>> round(CrossCovariance().penalty(h, -h).item(), 4)
    1.0
    """

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows, n of at least 4.

        Returns
        -------
        Tensor
            A scalar, 0 at independence.
        """
        from nonredundant.nn.penalties import cross_covariance

        return cross_covariance(h, d)


class MIDiscriminator(RatioTerm):
    """Mutual information by the density-ratio trick, as a term of training and by itself.

    A network tells rows (h_i, d_i) from re-paired rows (h_k, d_j), k ≠ j; its logit estimates
    log p(h, d) / p(h) p(d) (Vétil et al. 2023, arXiv 2308.11389, eq. 3). As a term, the penalty
    is the mean ReLU of the logit. By itself, `fit(H, D).score(H_test, D_test)` is the mutual
    information in nats on rows it did not see.

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
    batch_size : int, default=256
        Rows a step of `fit`.
    max_epochs : int, default=60
        Most epochs of `fit`, which stops when a fifth of the rows, held out, no longer gain.
    schedule : {"step", "alternate"}, default="step"
        As a term: trained a step each batch, or all at once every few epochs (the paper's).
    every : int, default=5
        With "alternate": epochs of the VAE between two trainings.
    n_epochs : int, default=150
        With "alternate": full-batch epochs of each training.
    random_state : int, RandomState or None, default=None
        Seed of `fit`; as a term it gets the VAE's.

    Attributes
    ----------
    n_features_in_ : int
        Columns of H.
    n_outputs_ : int
        Columns of D.
    network_ : torch.nn.Module
        The trained ratio.

    Notes
    -----
    As a term its value says nothing about independence: the VAE learns to fool this very
    network, and a fresh one still tells the pairs apart. Only
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

    # As a term of training -----------------------------------------------------------------

    @property
    def fit_mode(self) -> str:
        """How training calls `update`: each step, or every `every` epochs with all rows."""
        return "step" if self.schedule == "step" else "scheduled"

    def penalty(self, h: Any, d: Any) -> Any:
        """Return the penalty of a batch, differentiable in d.

        Parameters
        ----------
        h, d : Tensor of shape (n, n_h), (n, n_d)
            Paired rows.

        Returns
        -------
        Tensor
            Mean ReLU of the logit of the true pairs (Vétil et al. 2023, eq. 3), in nats.
        """
        from nonredundant.nn.discriminator import frozen_logit

        return frozen_logit(self._network_for(h, d), h, d).relu().mean()

    def _n_steps(self) -> int:
        return 1 if self.schedule == "step" else self.n_epochs

    def _broken(self, h: Any, d: Any) -> tuple[Any, Any]:
        from nonredundant.nn.discriminator import repaired

        return h[repaired(len(h), self._generator)], d

    # By itself -----------------------------------------------------------------------------

    def fit(self, H: Any, D: Any) -> MIDiscriminator:
        """Learn the density ratio of paired rows.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            One side.
        D : array-like of shape (n, n_d) or (n,)
            The other side, row by row.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If rows differ in number or hold NaN or infinity.
        """
        import torch

        from nonredundant.nn.discriminator import train_ratio

        self._validate_params()
        h, d = validate_data(
            self, H, D, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=4
        )
        d = d.reshape(len(d), -1)
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

    def _tensors(self, h: np.ndarray, d: np.ndarray) -> list[Any]:
        """Return both sides standardised as at `fit`."""
        import torch

        sides = zip((h, d), self.means_, self.scales_, strict=True)
        return [torch.as_tensor((x - m) / s, dtype=torch.float32) for x, m, s in sides]

    def _read(self, H: Any, D: Any) -> list[Any]:
        """Return new rows, checked against those of `fit`."""
        check_is_fitted(self, "network_")
        h, d = validate_data(
            self, H, D, reset=False, multi_output=True, y_numeric=True, dtype=np.float64
        )
        d = d.reshape(len(d), -1)
        if d.shape[1] != self.n_outputs_:
            raise ValueError(f"D has {d.shape[1]} columns but had {self.n_outputs_} at fit")
        return self._tensors(h, d)

    def score(self, H: Any, D: Any) -> float:
        """Return the mutual information of rows that were not learned from, in nats.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            One side.
        D : array-like of shape (n, n_d) or (n,)
            The other side.

        Returns
        -------
        float
            Donsker–Varadhan lower bound; below zero where chance alone was learned.
        """
        import torch

        from nonredundant.nn.discriminator import information

        h, d = self._read(H, D)
        return information(self.network_, h, d, torch.Generator().manual_seed(self.seed_))

    def predict_proba(self, H: Any, D: Any) -> np.ndarray:
        """Return how likely each row is a true pair rather than a re-paired one.

        Parameters
        ----------
        H : array-like of shape (n, n_h)
            One side.
        D : array-like of shape (n, n_d) or (n,)
            The other side.

        Returns
        -------
        array of shape (n, 2)
            Probabilities of "re-paired" and "true pair".
        """
        import torch

        with torch.no_grad():
            true = torch.sigmoid(self.network_(*self._read(H, D)).double()).numpy()
        return np.column_stack([1 - true, true])

    # Persistence ---------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the network's weights as arrays."""
        state = super().__getstate__()
        network = state.pop("network_", None)
        if network is not None:
            weights = network.state_dict().items()
            state["_network_weights"] = {name: value.numpy() for name, value in weights}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the network from its arrays."""
        import torch

        state = dict(state)
        weights = state.pop("_network_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.network_ = self._build(self.n_features_in_, self.n_outputs_)
            tensors = {name: torch.as_tensor(value) for name, value in weights.items()}
            self.network_.load_state_dict(tensors)


def _terms() -> dict[str, type]:
    """Return the terms by the names that `independence=` takes."""
    return {
        "dcor": DistanceCorrelation,
        "hsic": HSIC,
        "cross-covariance": CrossCovariance,
        "density-ratio": MIDiscriminator,
    }


def resolve_independence(spec: Any) -> Any:
    """Return an unfitted term for a name or a term; None for None.

    Parameters
    ----------
    spec : str, term or None
        "density-ratio", "dcor", "hsic", "cross-covariance"; a term is cloned.

    Returns
    -------
    term or None
        What training calls.

    Raises
    ------
    ValueError
        If there is no term of that name.

    Examples
    --------
    >>> resolve_independence("dcor")
    DistanceCorrelation()
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return clone(spec)
    terms = _terms()
    if spec not in terms:
        raise ValueError(f"independence={spec!r}: the terms are {sorted(terms)} or None")
    return terms[spec]()
