"""`NonRedundantCVAE`: deep radiomics d that are independent of the hand-crafted h."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.features import FeatureScaler
from nonredundant.models.base import TRAINING_CONSTRAINTS, GenerativeMethods
from nonredundant.models.inputs import Cohort, encode_labels, target_labels
from nonredundant.utils.validation import HasMethods, Interval, StrOptions


class ConditionedModel(GenerativeMethods):
    """Base of `NonRedundantCVAE`: reads h, passes features on, and decodes from h."""

    hcr_size: int | None
    independent_of: Sequence[str]
    condition_decoder: bool
    contrastive: bool
    n_dlr_: int

    def _check_blocks(self, cohort: Cohort) -> None:
        """Raise unless the blocks that make up h exist and are there where they must be."""
        blocks = tuple(self.independent_of)
        if not blocks or not set(blocks) <= {"hcr", "clinical"}:
            raise ValueError(f"independent_of takes 'hcr' and 'clinical', got {blocks!r}")
        if "clinical" in blocks and "clinical" not in cohort.blocks.values():
            raise ValueError(
                f"independent_of={blocks!r} names 'clinical', but none of the {len(cohort.blocks)} "
                "columns is clinical: extract some with RadiomicsExtractor(clinical=[...]), or "
                "leave it out"
            )

    def _check_given(self, h: np.ndarray) -> None:
        """Raise where the background is to be decoded from h, but there is none."""
        if self.contrastive and not (self.condition_decoder and h.shape[1]):
            raise ValueError(
                f"contrastive=True decodes the background from h alone: it takes "
                f"condition_decoder=True (now {self.condition_decoder}) and usable features of the "
                f"blocks {tuple(self.independent_of)!r} (now {h.shape[1]})"
            )

    def _fit_scalers(self, cohort: Cohort) -> None:
        """Learn what makes h, and which other columns are passed on."""
        hcr = [name for name, block in cohort.blocks.items() if block == "hcr"]
        rest = [name for name, block in cohort.blocks.items() if block == "clinical"]
        usable = cohort.features[cohort.usable]
        self.hcr_scaler_ = FeatureScaler(self.hcr_size if hcr else None).fit(usable[hcr])
        self.clinical_scaler_ = FeatureScaler().fit(usable[rest])

    def _condition(self, cohort: Cohort) -> np.ndarray:
        """Return h: the scaled features of the blocks that d must not repeat."""
        scalers = {"hcr": self.hcr_scaler_, "clinical": self.clinical_scaler_}
        return np.hstack([scalers[b].transform(cohort.features) for b in self.independent_of])

    def _passed_on(self, cohort: Cohort) -> np.ndarray:
        """Return the features of the output."""
        scaler = self.hcr_scaler_
        hcr = scaler.impute if scaler.n_components is None else scaler.transform
        return np.hstack([hcr(cohort.features), self.clinical_scaler_.impute(cohort.features)])

    def reconstruct(self, X: Any, *, salient: bool = True) -> np.ndarray:
        """Return the network's reconstruction of each lesion from h and its latents, or h alone.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        salient : bool, default=True
            False puts 0, the prior's mean, in the place of d: the image that h foretells, or in
            the contrastive mode the image as it were in the background.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d if salient else np.zeros_like(d), self._condition(cohort))

    def sample(self, X: Any, *, random_state: Any = None) -> np.ndarray:
        """Return lesions drawn from the model: d from its (targets') prior, h of the given lesions.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions whose h is used.
        random_state : int, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units.
        """
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        d = np.random.default_rng(random_state).normal(size=(len(cohort.x), self.n_dlr_))
        return self._decode(d, self._condition(cohort))


class NonRedundantCVAE(ConditionedModel):
    """Conditional VAE whose latents d (DLR) are independent of the hand-crafted features h.

    The encoder sees the masked patch (and h, to leave it out), the decoder sees (h, d), and an
    independence term keeps d from repeating h (Vétil et al. 2023, arXiv 2308.11389). The loss is

        reconstruction + beta * KL(q(d|x*, h) || N(0, I)) + kappa * I(h; d) + gamma * CE(y | h, d)

    and with `disentangle` also disentangle_weight * TC(d), the latents' total correlation. The
    reconstruction is the fraction of the lesions' voxel variance left unexplained, so that no
    weight depends on the size of the patches.

    Parameters
    ----------
    dlr_size : int, default=16
        Number of latents d.
    hcr_size : int or None, default=None
        None: all usable features are h. An int: that many principal components of them.
    independence : {"density-ratio", "dcor", "hsic", "cross-covariance"}, term or None, \
default="dcor"
        What keeps d independent of h; see `nonredundant.independence`.
    kappa : float, default=0.2
        Weight of the independence term.
    beta : float, default=1e-5
        Weight of the KL term.
    gamma : float, default=0
        Weight of the label term; 0 trains without labels.
    disentangle : {"total-correlation"} or None, default=None
        What keeps the latents independent of each other, beside h: their total correlation, by
        the density-ratio trick of FactorVAE (Kim & Mnih 2018, arXiv 1802.05983).
    disentangle_weight : float, default=0.01
        Weight of that term. Much more does harm: the encoder then fools the discriminator.
    contrastive : bool, default=False
        Whether d is only what targets add to a background whose images h explains: y is 0 for
        background, d there has the prior N(0, background_scale^2 I), and the decoder sees
        (h, [y > 0] d). As `SepVAE`, with a common part that is given instead of learned.
    background_scale : float, default=0.1
        Standard deviation of the background's prior in the contrastive mode.
    condition_decoder : bool, default=True
        Whether the decoder sees h.
    conditioning : {"auto", "gated", "plain"}, default="auto"
        "plain" shows h to the decoder alone, as published. "gated" also lets 16 linear mixtures
        of h scale and shift d behind the encoder and in front of the decoder, so that d can leave
        to h what follows from it at less cost in reconstruction. "auto" is "plain" with a
        term that is trained itself (the density ratio), which gates help to fool, else "gated".
    independent_of : tuple of {"hcr", "clinical"}, default=("hcr",)
        The blocks of features that make up h. Without hand-crafted features there is no h to be
        independent of; "clinical" must not be named where the table has no such columns.
    reconstruction : {"normalised", "summed"}, default="normalised"
        Divide the squared error by the cohort's variance, or sum it over voxels as published.
    max_epochs : int, default=100
        Number of passes over the training cohort.
    batch_size : int, default=64
        Lesions a step.
    lr : float, default=8e-3
        Highest learning rate of AdamW.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        Whether the learning rate rises and falls over the epochs or stays.
    weight_decay : float, default=1e-4
        Weight decay of AdamW.
    validation_fraction : float, default=0.1
        Share of samples kept out of training for the `valid_*` columns of `history_`.
    augment : "auto", sequence of str, callable or None, default="auto"
        "auto" mirrors lesions at random along every axis unless `gamma` is positive: h is the
        same for a mirror image, and a network without labels must still tell the sides apart to
        reconstruct them. Or names out of `nonredundant.nn.augment.KINDS`, or a function of
        (patches, masks) tensors; with a label term, choose kinds that the label survives.
    network : dict, callable or None, default=None
        `width`, `depth` and `norm` ("instance" or None) of the default networks, or a factory
        `(shape, n_channels, n_out, n_in) -> (encoder, decoder)`.
    output : {"fused", "dlr", "hcr"}, default="fused"
        Which columns `transform` returns.
    device : str, default="auto"
        "auto" takes CUDA where there is one.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches and draws; an int makes fits on the CPU bitwise equal.
    callbacks : list or None, default=None
        skorch callbacks, for instance early stopping on `valid_total`.
    net_params : dict or None, default=None
        Further arguments of the skorch net, for instance `{"mixed_precision": True}`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row an epoch: `total, reconstruction, kl, independence, label`, with `disentangle` also
        `total_correlation`, and `valid_*`.
    hcr_scaler_ : FeatureScaler
        What makes h of the features: medians, ranks on a normal scale, principal components.
    classes_ : array
        The label term's classes (with `gamma > 0` or `contrastive` only; background first).
    n_dlr_ : int
        Number of latents.
    dead_latents_ : list of str
        Latents that collapsed to their prior; a warning says so when most did.
    dlr_median_ : array of shape (n_dlr_,)
        Median latents of the training cohort.
    feature_names_in_ : array of str
        Columns of the table at `fit`.
    n_features_in_ : int
        Their number.

    See Also
    --------
    nonredundant.metrics.redundancy_report : Is d independent of h on data not trained on?
    nonredundant.evaluation.compare_feature_sets : Does d add anything to h?

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, NonRedundantCVAE
    >>> rng = np.random.default_rng(0)
    >>> patches = rng.normal(size=(20, 1, 8, 8)).astype("float32")
    >>> features = pd.DataFrame({"mean": patches.mean((1, 2, 3)), "sd": patches.std((1, 2, 3))})
    >>> table = LesionTable(features, patches=patches)
    >>> cvae = NonRedundantCVAE(dlr_size=2, max_epochs=2, random_state=0).fit(table)
    >>> cvae.transform(table).shape
    (20, 4)
    >>> cvae.get_feature_names_out().tolist()
    ['mean', 'sd', 'dlr00', 'dlr01']
    """

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "dlr_size": [Interval(Integral, 1, None, closed="left")],
        "hcr_size": [None, Interval(Integral, 1, None, closed="left")],
        "independence": [
            None,
            StrOptions({"density-ratio", "dcor", "hsic", "cross-covariance"}),
            HasMethods(["penalty", "update", "reset"]),
        ],
        "kappa": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "disentangle": [None, StrOptions({"total-correlation"})],
        "disentangle_weight": [Interval(Real, 0, None, closed="left")],
        "contrastive": ["boolean"],
        "background_scale": [Interval(Real, 0, None, closed="neither")],
        "condition_decoder": ["boolean"],
        "conditioning": [StrOptions({"auto", "gated", "plain"})],
        "independent_of": [list, tuple],
        "reconstruction": [StrOptions({"normalised", "summed"})],
    }

    def __init__(
        self,
        dlr_size: int = 16,
        *,
        hcr_size: int | None = None,
        independence: Any = "dcor",
        kappa: float = 0.2,
        beta: float = 1e-5,
        gamma: float = 0.0,
        disentangle: str | None = None,
        disentangle_weight: float = 0.01,
        contrastive: bool = False,
        background_scale: float = 0.1,
        condition_decoder: bool = True,
        conditioning: str = "auto",
        independent_of: Sequence[str] = ("hcr",),
        reconstruction: str = "normalised",
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 8e-3,
        lr_schedule: str = "cosine",
        weight_decay: float = 1e-4,
        validation_fraction: float = 0.1,
        augment: str | Sequence[str] | Callable[..., Any] | None = "auto",
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        output: str = "fused",
        device: str = "auto",
        random_state: Any = None,
        callbacks: list[Any] | None = None,
        net_params: dict[str, Any] | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.dlr_size = dlr_size
        self.hcr_size = hcr_size
        self.independence = independence
        self.kappa = kappa
        self.beta = beta
        self.gamma = gamma
        self.disentangle = disentangle
        self.disentangle_weight = disentangle_weight
        self.contrastive = contrastive
        self.background_scale = background_scale
        self.condition_decoder = condition_decoder
        self.conditioning = conditioning
        self.independent_of = independent_of
        self.reconstruction = reconstruction
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.augment = augment
        self.network = network
        self.output = output
        self.device = device
        self.random_state = random_state
        self.callbacks = callbacks
        self.net_params = net_params
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> NonRedundantCVAE:
        """Train the VAE on a cohort's lesions.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches; a plain matrix is encoded by row, without HCR.
        y : array-like of shape (n_samples,), optional
            Labels for the label term; NaN or -1: unlabelled. Ignored while `gamma` is 0.
            `contrastive` needs all: 0 for background, any other values for classes of target.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the table has no usable patches or not the blocks of `independent_of`, features are
            not numbers, or y does not fit.
        FloatingPointError
            If a term of the loss stops being a number; the message names term and epoch.
        """
        self._validate_params()
        cohort = self._read(X, reset=True)
        self._check_blocks(cohort)
        classes, labels, weight = self._labels(y, cohort)
        self._fit_scalers(cohort)
        h = self._condition(cohort)
        self._check_given(h)
        self._has_condition = h.shape[1] > 0
        spec = {
            "shape": tuple(cohort.shape),
            "n_channels": cohort.n_channels,
            "n_latents": self.dlr_size,
            "n_conditions": h.shape[1],
            "n_classes": len(classes) if classes is not None and self.gamma > 0 else 0,
            "condition_decoder": self.condition_decoder,
            "gated": self._gated(),
            "network": self.network,
            "normalise": self.reconstruction == "normalised",
        }
        if self.contrastive:
            spec["background_scale"] = self.background_scale
        self._train(cohort, h, labels, weight, spec)
        if classes is not None:
            self.classes_ = classes
        self.n_dlr_ = self.dlr_size
        self._settle(cohort)
        return self

    def _labels(self, y: Any, cohort: Cohort) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the classes or None, each lesion's class position and its weight."""
        if self.contrastive:
            return target_labels(y, cohort)
        if self.gamma > 0 and y is not None:
            return encode_labels(y, cohort)
        n = len(cohort.x)
        return None, np.full(n, -1, dtype=np.int64), np.ones(n)

    def _module_class(self) -> type:
        if self.contrastive:
            from nonredundant.nn.contrastive import SalientConditionalVAE

            return SalientConditionalVAE
        from nonredundant.nn.vae import ConditionalVAE

        return ConditionalVAE

    def _weights(self) -> dict[str, float]:
        return {
            "kl": self.beta,
            "independence": self.kappa,
            "label": self.gamma,
            "total_correlation": self.disentangle_weight,
        }

    def _mirrors(self) -> bool:
        return self.gamma == 0 and not self.contrastive

    def _gated(self) -> bool:
        """Whether h also scales and shifts d."""
        if self.conditioning == "auto":
            term = self._term()
            return term is None or term.fit_mode == "closed-form"
        return self.conditioning == "gated"

    def _term(self) -> Any:
        if self.independence is None or self.kappa == 0 or not self._has_condition:
            return None
        from nonredundant.independence.terms import resolve_independence

        return resolve_independence(self.independence)

    def _disentangler(self) -> Any:
        if self.disentangle is None or self.disentangle_weight == 0:
            return None
        from nonredundant.independence.density_ratio import TotalCorrelation

        return TotalCorrelation()

    def transform(self, X: Any) -> Any:
        """Return features and latents of each lesion.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns), DataFrame or LesionTable
            `output="fused"`: the usable features in their own units (NaN imputed by the training
            median; principal components with `hcr_size`), then the posterior means of d. "dlr"
            and "hcr": one part alone. With several lesions a sample: a table with these columns.
        """
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        parts = []
        if self.output != "dlr":
            parts += [self._passed_on(cohort)]
        if self.output != "hcr":
            parts += [self._fill_missing(self._encode(cohort), cohort)]
        return self._rows(np.hstack(parts), X)

    def _latent_names(self) -> list[str]:
        return [f"dlr{i:02d}" for i in range(self.n_dlr_)]

    def _names_out(self) -> list[str]:
        features = [*self.hcr_scaler_.names_out_, *self.clinical_scaler_.names_out_]
        latents = self._latent_names()
        return {"fused": features + latents, "dlr": latents, "hcr": features}[self.output]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.contrastive)
        return tags
