"""`ContrastiveCVAE`: latents of what targets add to a background described by h."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from nonredundant.lesions.labels import align
from nonredundant.models.cvae import CONDITIONED_CONSTRAINTS, ConditionedVAE
from nonredundant.models.inputs import Cohort, target_labels
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import Interval, StrOptions


class ContrastiveCVAE(ConditionedVAE):
    """Contrastive VAE with the hand-crafted features h in place of the common latents.

    d describes only what targets add to the background. The model is that of `SepVAE` (Louiset
    et al. 2023, arXiv 2307.06206), with h instead of the common latents: background samples are
    decoded from h alone, and their d has the narrow prior N(0, background_scale^2 I). The loss is

        reconstruction from (h, [y > 0] d) + beta * KL(q(d|x*, h) || p(d|y)) + kappa * I(h; d)
        + gamma * CE(y | h, d)

    and with `disentangle` also disentangle * TC(d of targets).

    Parameters
    ----------
    dlr_size : int, default=16
        Number of latents d.
    hcr_size : int or None, default=None
        None: h is all usable features. An int: h is that many of their principal components.
    independence : {"density-ratio", "dcor", "hsic", "cross-covariance"}, term or None, \
default="dcor"
        Term that keeps d independent of h; see `nonredundant.independence`.
    kappa : float, default=0.2
        Weight of the independence term.
    beta : float, default=1e-5
        Weight of the KL term.
    gamma : float, default=0
        Weight of the label term CE(y | h, d); 0 omits it.
    background_scale : float, default=0.1
        Standard deviation of the prior of d of the background.
    conditioning : {"auto", "gated", "plain"}, default="auto"
        How h enters the networks. "plain": h is an input of the decoder alone, as published.
        "gated": 16 linear mixtures of h also scale and shift d after the encoder and before the
        decoder, which makes d independent of h at less cost in reconstruction. "auto": "plain"
        if the term is itself trained (the density ratio), because gates make it easier to mislead
        the discriminator, else "gated".
    independent_of : "auto" or tuple of str, default="auto"
        What h consists of: the blocks "hcr" and "clinical", and columns of
        `LesionTable.samples` by name, such as the centre of a sample, as for `NonRedundantCVAE`.
        "auto": all known features, the clinical columns with the hand-crafted ones where the
        table has any. Without features h is empty. "clinical" raises an error if the table has no
        clinical columns.
    disentangle : float, default=0
        Weight of the total correlation of the latents, which keeps them independent of each
        other, estimated by the density-ratio trick of FactorVAE (Kim & Mnih 2018, arXiv
        1802.05983). 0.01 lowers it; much larger weights do harm, as the encoder then exploits
        errors of the discriminator.
    max_epochs : int, default=100
        Number of passes over the training cohort.
    batch_size : int, default=64
        Lesions per step.
    lr : float, default=8e-3
        Highest learning rate of AdamW.
    augment : sequence of str, callable or None, default=None
        As for `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        `width`, `depth` and `norm` ("instance" or None) of the default networks, or a factory
        that is called with the keywords `shape, n_channels, n_out, n_in` and returns an encoder and
        a decoder. A saved model refers to a factory by name.
    output : {"fused", "dlr", "hcr"}, default="fused"
        Columns that `transform` returns.
    device : str, default="auto"
        "auto" uses CUDA if a GPU is available.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, the batches and the draws; an int makes fits on the
        CPU bitwise reproducible.
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
        One row per epoch, with the columns `total, reconstruction, kl, independence, label`, with
        `disentangle` also `total_correlation`, and with a `validation_fraction` `valid_*`.
    hcr_scaler_ : FeatureScaler
        Computes h from the features: medians, ranks on a normal scale, principal components.
    category_shares_ : dict of str to dict of str to float
        The columns of samples in h, with the share of each category of the training lesions.
    classes_ : array
        The classes, background first.
    n_dlr_ : int
        Number of latents.
    dead_latents_ : list of str
        Latents that collapsed to their prior; `fit` warns if most did.
    dlr_median_ : array of shape (`n_dlr_`,)
        Median latents of the training cohort.
    feature_names_in_ : array of str
        Columns of the table at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    SepVAE : Learns the common latents.
    NonRedundantCVAE : The model without background and targets.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.contrastive import ContrastiveCVAE
    >>> rng = np.random.default_rng(0)
    >>> patches = rng.normal(size=(20, 1, 8, 8)).astype("float32")
    >>> features = pd.DataFrame({"mean": patches.mean((1, 2, 3)), "sd": patches.std((1, 2, 3))})
    >>> table = LesionTable(features, patches=patches)
    >>> model = ContrastiveCVAE(2, max_epochs=20, random_state=0, device="cpu")
    >>> model.fit(table, np.tile([0, 1], 10)).get_feature_names_out().tolist()
    ['mean', 'sd', 'dlr00', 'dlr01']
    """

    background_scale: float

    _parameter_constraints = {
        **CONDITIONED_CONSTRAINTS,
        "background_scale": [Interval(Real, 0, None, closed="neither")],
        "conditioning": [StrOptions({"auto", "gated", "plain"})],
        "augment": [None, callable, list, tuple],
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
        background_scale: float = 0.1,
        conditioning: str = "auto",
        independent_of: Sequence[str] | str = "auto",
        disentangle: float = 0.0,
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 8e-3,
        augment: Sequence[str] | Callable[..., Any] | None = None,
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        output: str = "fused",
        device: str = "auto",
        random_state: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.dlr_size = dlr_size
        self.hcr_size = hcr_size
        self.independence = independence
        self.kappa = kappa
        self.beta = beta
        self.gamma = gamma
        self.background_scale = background_scale
        self.conditioning = conditioning
        self.independent_of = independent_of
        self.disentangle = disentangle
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

    def fit(self, X: Any, y: Any) -> ContrastiveCVAE:
        """Train the model on background and target samples.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches and hand-crafted features; the rows of a plain matrix are encoded
            without HCR, so that every row of background is decoded to the same one.
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
            If the table has no usable patches or features, a sample is unlabelled, or y lacks
            background or targets.
        FloatingPointError
            If a term of the loss is not finite; the message names the term and the epoch.
        """
        self._validate_params()
        with unchanged_on_failure(self):
            cohort = self._read(X, reset=True)
            self._train(cohort, self._plan(cohort, align(y, X, "y")))
        self.n_dlr_ = self.dlr_size
        return self

    def _labels(self, y: Any, cohort: Cohort) -> tuple[Any, np.ndarray, np.ndarray]:
        return target_labels(y, cohort)

    def _plan(self, inputs: Cohort, y: Any) -> TrainingPlan:
        plan = super()._plan(inputs, y)
        if inputs.shape and not plan.conditions.shape[1]:
            raise ValueError(
                "this model decodes the background from h alone, but the table has no usable "
                f"features in the blocks {self.independent_of_!r}: add features to the table"
            )
        return replace(plan, spec={**plan.spec, "background_scale": self.background_scale})

    def _module_class(self) -> type:
        from nonredundant.nn.contrastive import SalientConditionalVAE

        return SalientConditionalVAE

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
