"""`SepVAE` and `ContrastiveVAE`: separate what targets add to a background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from nonredundant.independence.terms import TERM_CONSTRAINT, resolve_independence
from nonredundant.lesions.labels import align
from nonredundant.models.base import VAE_CONSTRAINTS, WEIGHT, VAEEstimator
from nonredundant.models.inputs import Cohort, target_labels
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import Interval, StrOptions

#: Constraints of the parameters that both models share.
CONTRASTIVE_CONSTRAINTS: dict[str, Any] = {
    **VAE_CONSTRAINTS,
    "augment": [None, callable, list, tuple],
    "common_size": [Interval(Integral, 1, None, closed="left")],
    "salient_size": [Interval(Integral, 1, None, closed="left")],
    "salient_beta": [None, *WEIGHT],
    "independence": TERM_CONSTRAINT,
    "kappa": WEIGHT,
    "output": [StrOptions({"both", "common", "salient"})],
}


class CommonSalientModel(VAEEstimator):
    """Base class of `SepVAE` and `ContrastiveVAE`."""

    common_size: int
    salient_size: int
    independence: Any
    kappa: float
    network: Any
    output: str
    classes_: np.ndarray

    def _module_options(self, n_classes: int) -> dict[str, Any]:
        """Return the arguments of the network that only this model has."""
        raise NotImplementedError

    def _weights(self) -> dict[str, float]:
        """Return the weight of each term of the loss."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any) -> Any:
        """Train the model on background and target samples.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches; features are not used. Or a matrix, whose rows are encoded.
        y : array-like of shape (n_samples,)
            0 for background; each other value is a class of target. Of numbers without a 0 the
            lowest is the background, with a warning. A Series is aligned by its index.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the table has no usable patches, a sample is unlabelled, or y lacks background
            or targets.
        FloatingPointError
            If a term of the loss is not finite; the message names the term and the epoch.
        """
        self._validate_params()
        with unchanged_on_failure(self):
            cohort = self._read(X, reset=True)
            self._train(cohort, self._plan(cohort, align(y, X, "y")))
        return self

    def _plan(self, inputs: Cohort, y: Any) -> TrainingPlan:
        classes, labels, row_weights = target_labels(y, inputs)
        spec = {
            "shape": tuple(inputs.shape),
            "n_channels": inputs.n_channels,
            "n_common": self.common_size,
            "n_salient": self.salient_size,
            "network": self.network,
            "normalise": self._option("reconstruction") == "normalised",
            **self._module_options(len(classes)),
        }
        return TrainingPlan(
            spec,
            self._condition(inputs),
            labels,
            classes,
            row_weights,
            self._weights(),
            {"independence": self._term()},
        )

    def _term(self) -> Any:
        """Return the independence term of c and s, or None."""
        if self.independence is None or self.kappa == 0:
            return None
        term = resolve_independence(self.independence)
        if isinstance(self.independence, str):
            # Equal weights of all directions help if one side is fixed features. Here c is
            # trained, and equal weights would make its gradient unstable.
            plain = {"equal_directions": False, "second_order": 0.0, "single_latents": 0.0}
            term.set_params(**{k: v for k, v in plain.items() if k in term.get_params()})
        return term

    def _sizes(self) -> tuple[int, int]:
        """Return the fitted sizes of c and s."""
        return self.net_.module_.pair_sizes

    def _latent_names(self) -> list[str]:
        n_common, n_salient = self._sizes()
        common = [f"common{i:02d}" for i in range(n_common)]
        return common + [f"salient{i:02d}" for i in range(n_salient)]

    def _columns(self) -> slice:
        """Return the columns of the latents that `output` selects."""
        n_common, _ = self._sizes()
        return {
            "both": slice(None),
            "common": slice(n_common),
            "salient": slice(n_common, None),
        }[self.output]

    def _names_out(self) -> list[str]:
        return self._latent_names()[self._columns()]

    def transform(self, X: Any) -> Any:
        """Compute the posterior means of the latents of each lesion; no label is needed.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns), DataFrame or LesionTable
            The common latents, the salient ones, or both, by `output`; if samples have several
            lesions, a table with the latents as features.
        """
        _, z = self._latents(X)
        return self._rows(z[:, self._columns()], X)

    def reconstruct(self, X: Any, *, salient: bool = True) -> np.ndarray:
        """Reconstruct each lesion, or its background counterpart.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        salient : bool, default=True
            False decodes the common latents alone, which gives the background counterpart.

        Returns
        -------
        array of shape (n_lesions, C, ...)
            Patches in the images' intensity units.
        """
        cohort, z = self._latents(X)
        if not salient:
            z[:, self._sizes()[0] :] = 0.0
        return self._decode(z, self._condition(cohort))

    def swap(self, X_common: Any, X_salient: Any) -> np.ndarray:
        """Decode the common latents of one lesion with the salient latents of another.

        Parameters
        ----------
        X_common, X_salient : LesionTable or array of shape (n_samples, n_features)
            Lesions that c is taken from and lesions that s is taken from, paired by row.

        Returns
        -------
        array of shape (n_lesions, C, ...)
            Patches in the images' intensity units.

        Raises
        ------
        ValueError
            If the two have different numbers of lesions.
        """
        cohort, z = self._latents(X_common)
        _, other = self._latents(X_salient)
        if len(z) != len(other):
            raise ValueError(
                f"swap pairs lesions by row, but one side has {len(z)} and the other {len(other)}; "
                "pass equally many"
            )
        n_common = self._sizes()[0]
        z[:, n_common:] = other[:, n_common:]
        return self._decode(z, self._condition(cohort))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class SepVAE(CommonSalientModel):
    """Separate what targets share with the background (c) from what they add to it (s).

    Louiset et al. 2023 (arXiv 2307.06206). Background samples are decoded from c alone and have a
    narrow prior of s around 0; targets are decoded from (c, s). The loss is

        reconstruction + beta * KL(q(c|x*) || N(0, I)) + salient_beta * KL(q(s|x*) || p(s|y))
        + kappa * I(c; s) + gamma * CE(y | s) + fader * I(c; y)

    with p(s | background) = N(0, background_scale^2 I), p(s | target) = N(0, I).

    Parameters
    ----------
    common_size : int, default=16
        Number of common latents c.
    salient_size : int, default=4
        Number of salient latents s.
    beta : float, default=3e-4
        Weight of the common latents' KL term.
    salient_beta : float or None, default=None
        Weight of the salient latents' KL term; None: `beta`.
    background_scale : float, default=0.1
        Standard deviation of the background's salient prior.
    additive : bool, default=True
        True: an image is the sum of the outputs of two decoders, of c and of s. c is inferred
        from the image minus the output of s, and the input of the classifier is one salient latent
        per class of target. False, as published: one decoder of (c, s), c is inferred from the
        whole image, and the input of the classifier is all of s; subtypes of targets then tend to
        be encoded in c.
    independence : {"density-ratio", "dcor", "hsic", "cross-covariance"}, term or None, \
default="cross-covariance"
        Term that keeps c and s independent; "density-ratio" as published. A term given by name
        does not equalise the weights of the principal directions of c.
    kappa : float, default=0.1
        Weight of the independence term.
    gamma : float, default=0.1
        Weight of the label classifier on s. With a larger weight s separates targets from the
        background better, and describes differences between targets less well.
    fader : float, default=0.1
        Weight of the distance correlation of c with the label, which keeps the label out of c.
        Raise it, for instance to 1, if c still separates targets from the background.
    max_epochs : int, default=100
        Number of passes over the training cohort.
    batch_size : int, default=64
        Lesions per step.
    lr : float, default=3e-3
        Highest learning rate of AdamW.
    augment : sequence of str, callable or None, default=None
        As for `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        As for `NonRedundantCVAE`; c and s have separate encoders.
    output : {"both", "common", "salient"}, default="both"
        Latents that `transform` returns.
    device : str, default="auto"
        "auto" uses CUDA if a GPU is available.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, the batches and the draws.
    net_params : dict or None, default=None
        Further training options, as for `NonRedundantCVAE`.
    verbose : int, default=0
        0 shows a progress bar on a terminal or in a notebook after two seconds; 1 prints one
        line per epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row per epoch, with the columns `total, reconstruction, kl, independence, label,
        salient_kl, fader`, and `valid_*` with a `validation_fraction`; all but the total are
        unweighted.
    classes_ : array
        The classes, background first.
    dead_latents_ : list of str
        Latents that collapsed to their prior; `fit` warns if most did.

    See Also
    --------
    ContrastiveVAE : The models that SepVAE was compared with when published.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.contrastive import SepVAE
    >>> from nonredundant.lesions import LesionTable
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(patches=rng.normal(size=(16, 1, 8, 8)))
    >>> model = SepVAE(2, 1, max_epochs=20, random_state=0, device="cpu")
    >>> model.fit(table, np.tile([0, 1], 8)).get_feature_names_out().tolist()
    ['common00', 'common01', 'salient00']
    """

    _parameter_constraints = {
        **CONTRASTIVE_CONSTRAINTS,
        "background_scale": [Interval(Real, 0, None, closed="neither")],
        "additive": ["boolean"],
        "gamma": WEIGHT,
        "fader": WEIGHT,
    }

    def __init__(
        self,
        common_size: int = 16,
        salient_size: int = 4,
        *,
        beta: float = 3e-4,
        salient_beta: float | None = None,
        background_scale: float = 0.1,
        additive: bool = True,
        independence: Any = "cross-covariance",
        kappa: float = 0.1,
        gamma: float = 0.1,
        fader: float = 0.1,
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 3e-3,
        augment: Sequence[str] | Callable[..., Any] | None = None,
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        output: str = "both",
        device: str = "auto",
        random_state: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.common_size = common_size
        self.salient_size = salient_size
        self.beta = beta
        self.salient_beta = salient_beta
        self.background_scale = background_scale
        self.additive = additive
        self.independence = independence
        self.kappa = kappa
        self.gamma = gamma
        self.fader = fader
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.augment = augment
        self.network = network
        self.output = output
        self.device = device
        self.random_state = random_state
        self.net_params = net_params
        self.verbose = verbose

    def _module_class(self) -> type:
        from nonredundant.nn.contrastive import SepVAEModule

        return SepVAEModule

    def _module_options(self, n_classes: int) -> dict[str, Any]:
        return {
            "n_classes": n_classes,
            "background_scale": self.background_scale,
            "additive": self.additive,
        }

    def _weights(self) -> dict[str, float]:
        return {
            "kl": self.beta,
            "salient_kl": self.beta if self.salient_beta is None else self.salient_beta,
            "independence": self.kappa,
            "label": self.gamma,
            "fader": self.fader,
        }


class ContrastiveVAE(CommonSalientModel):
    """Contrastive VAE, and with `moment_matching` the MM-cVAE.

    Abid & Zou 2019 (arXiv 1902.04601): background is decoded from c, targets from (c, s).
    Weinberger et al. 2022 (arXiv 2202.10560) add two maximum mean discrepancies (MMD): c has the
    same distribution in both groups, and the s of the background is 0. The loss is

        reconstruction + beta * KL(q(c|x*) || N(0, I)) + salient_beta * KL(q(s|target) || N(0, I))
        + kappa * I(c; s | target)
        + moment_matching * [MMD(c of background, c of targets) + MMD(s of background, 0)]

    Parameters
    ----------
    common_size : int, default=16
        Number of common latents c.
    salient_size : int, default=4
        Number of salient latents s.
    beta : float, default=3e-4
        Weight of the common latents' KL term.
    salient_beta : float or None, default=None
        Weight of the salient latents' KL term; None: `beta`.
    independence : {"density-ratio", "dcor", "hsic", "cross-covariance"}, term or None, \
default=None
        Term that keeps the c and s of targets independent; "density-ratio" as published. A term
        given by name does not equalise the weights of the principal directions of c.
    kappa : float, default=0.3
        Weight of the independence term.
    moment_matching : float, default=0
        Weight of the moment-matching terms; 0 omits them.
    max_epochs : int, default=100
        Number of passes over the training cohort.
    batch_size : int, default=64
        Lesions per step.
    lr : float, default=3e-3
        Highest learning rate of AdamW.
    augment : sequence of str, callable or None, default=None
        As for `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        As for `NonRedundantCVAE`; c and s have separate encoders.
    output : {"both", "common", "salient"}, default="both"
        Latents that `transform` returns.
    device : str, default="auto"
        "auto" uses CUDA if a GPU is available.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, the batches and the draws.
    net_params : dict or None, default=None
        Further training options, as for `NonRedundantCVAE`.
    verbose : int, default=0
        0 shows a progress bar on a terminal or in a notebook after two seconds; 1 prints one
        line per epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row per epoch, with the columns `total, reconstruction, kl, independence, label,
        salient_kl, moments`, and `valid_*` with a `validation_fraction`; all but the total are
        unweighted.
    classes_ : array
        The classes, background first.
    dead_latents_ : list of str
        Latents that collapsed to their prior; `fit` warns if most did.

    See Also
    --------
    SepVAE : Trains a classifier on the salient latents and separates better.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.contrastive import ContrastiveVAE
    >>> from nonredundant.lesions import LesionTable
    >>> rng = np.random.default_rng(0)
    >>> table = LesionTable.from_arrays(patches=rng.normal(size=(16, 1, 8, 8)))
    >>> model = ContrastiveVAE(2, 1, max_epochs=20, random_state=0, device="cpu")
    >>> model.fit(table, np.tile([0, 1], 8)).get_feature_names_out().tolist()
    ['common00', 'common01', 'salient00']
    """

    _parameter_constraints = {**CONTRASTIVE_CONSTRAINTS, "moment_matching": WEIGHT}

    def __init__(
        self,
        common_size: int = 16,
        salient_size: int = 4,
        *,
        beta: float = 3e-4,
        salient_beta: float | None = None,
        independence: Any = None,
        kappa: float = 0.3,
        moment_matching: float = 0.0,
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 3e-3,
        augment: Sequence[str] | Callable[..., Any] | None = None,
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        output: str = "both",
        device: str = "auto",
        random_state: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.common_size = common_size
        self.salient_size = salient_size
        self.beta = beta
        self.salient_beta = salient_beta
        self.independence = independence
        self.kappa = kappa
        self.moment_matching = moment_matching
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.augment = augment
        self.network = network
        self.output = output
        self.device = device
        self.random_state = random_state
        self.net_params = net_params
        self.verbose = verbose

    def _module_class(self) -> type:
        from nonredundant.nn.contrastive import ContrastiveVAEModule

        return ContrastiveVAEModule

    def _module_options(self, n_classes: int) -> dict[str, Any]:
        return {}

    def _weights(self) -> dict[str, float]:
        return {
            "kl": self.beta,
            "salient_kl": self.beta if self.salient_beta is None else self.salient_beta,
            "independence": self.kappa,
            "moments": self.moment_matching,
        }
