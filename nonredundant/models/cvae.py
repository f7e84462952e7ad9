"""`NonRedundantCVAE`: deep radiomics d that are independent of hand-crafted radiomics h.

The path of `fit`:

1. `models/base.py` `_read` checks the table and returns a `Cohort` (`models/inputs.py`);
2. `_plan` below fits the scalers of h (`lesions/scaler.py`), resolves the independence term
   (`independence/terms.py`) and returns a `TrainingPlan`: arguments of the network, h, labels,
   loss terms and weights;
3. `models/base.py` `_train` splits rows, makes datasets (`nn/batches.py`) and calls `_fit_net`;
4. `nn/estimator.py` `_fit_net` builds the network (`nn/vae.py`, blocks in `nn/blocks.py`), wraps it
   in a skorch net (`nn/net.py`, `nn/training.py`) and trains it: each step evaluates
   `ConditionalVAE.objective` (`nn/losses.py`) and the term's penalty (`nn/penalties.py`);
5. `_after_training` below fits the residualiser (`models/residualiser.py`) to the latents of the
   training rows. From then on `_encode` returns residuals and `_decode` takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from nonredundant.independence.density_ratio import TotalCorrelation
from nonredundant.independence.terms import TERM_CONSTRAINT, resolve_independence
from nonredundant.lesions.labels import align
from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.models.base import VAE_CONSTRAINTS, WEIGHT, VAEEstimator
from nonredundant.models.inputs import Cohort, encode_labels
from nonredundant.models.residualiser import Residualiser
from nonredundant.models.sample_categories import (
    category_columns,
    category_shares,
    check_condition,
    named_categories,
)
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import Interval, StrOptions

#: Constraints of the parameters of the models that take h as a condition.
CONDITIONED_CONSTRAINTS: dict[str, Any] = {
    **VAE_CONSTRAINTS,
    "dlr_size": [Interval(Integral, 1, None, closed="left")],
    "hcr_size": [None, Interval(Integral, 1, None, closed="left")],
    "independence": TERM_CONSTRAINT,
    "kappa": WEIGHT,
    "gamma": WEIGHT,
    "disentangle": WEIGHT,
    "independent_of": [StrOptions({"auto"}), list, tuple],
    "output": [StrOptions({"fused", "dlr", "hcr"})],
}


def gates_of(independence: Any) -> str:
    """Return the conditioning that "auto" means for a network with this independence term."""
    term = resolve_independence(independence)
    return "gated" if term is None or term.fit_mode == "closed-form" else "plain"


class ConditionedVAE(VAEEstimator):
    """Base class of the models that take h as a condition.

    Such a model computes h, adds the features to the output and decodes from (h, d).
    """

    dlr_size: int
    hcr_size: int | None
    independence: Any
    kappa: float
    gamma: float
    conditioning: str | None
    independent_of: Sequence[str] | str
    independent_of_: tuple[str, ...]
    disentangle: float
    network: Any
    output: str
    n_dlr_: int

    # Conditions ----------------------------------------------------------------------------

    def _check_blocks(self, cohort: Cohort) -> None:
        """Find what makes up h, and check that the table has what is named."""
        if self.independent_of == "auto":
            there = set(cohort.blocks.values())
            self.independent_of_ = ("hcr", "clinical") if "clinical" in there else ("hcr",)
            return
        self.independent_of_ = tuple(self.independent_of)
        first = np.unique(cohort.sample, return_index=True)[1]
        check_condition(self.independent_of_, cohort.samples.iloc[first], cohort.blocks)

    def _fit_scalers(self, cohort: Cohort) -> None:
        """Fit the scalers that compute h and impute the features of the output."""
        hcr = [name for name, block in cohort.blocks.items() if block == "hcr"]
        rest = [name for name, block in cohort.blocks.items() if block == "clinical"]
        usable = cohort.features[cohort.usable]
        self.hcr_scaler_ = FeatureScaler(self.hcr_size if hcr else None).fit(usable[hcr])
        self.clinical_scaler_ = FeatureScaler().fit(usable[rest])
        columns = named_categories(self)
        self.category_shares_ = category_shares(cohort.samples[cohort.usable], columns)

    def _condition(self, cohort: Cohort) -> np.ndarray:
        """Return h: the scaled features and the categories that d is kept independent of."""
        if cohort.h is None:
            scalers = {"hcr": self.hcr_scaler_, "clinical": self.clinical_scaler_}
            parts = [
                scalers[block].transform(cohort.features)
                for block in self.independent_of_
                if block in scalers
            ]
            # Files of earlier versions know of no categories.
            shares = getattr(self, "category_shares_", {})
            cohort.h = np.hstack([*parts, category_columns(cohort.samples, shares)])
        return cohort.h

    def _condition_frame(self, cohort: Cohort) -> pd.DataFrame:
        """Return h as the input of the residualiser."""
        return pd.DataFrame(self._condition(cohort)).add_prefix("h")

    def _passed_on(self, cohort: Cohort) -> np.ndarray:
        """Return the features of the output, imputed and in their own units."""
        scaler = self.hcr_scaler_
        hcr = scaler.impute if scaler.n_components is None else scaler.transform
        return np.hstack([hcr(cohort.features), self.clinical_scaler_.impute(cohort.features)])

    # Training plan -------------------------------------------------------------------------

    def _labels(self, y: Any, cohort: Cohort) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the classes or None, and the class position and weight of each lesion."""
        raise NotImplementedError

    def _plan(self, inputs: Cohort, y: Any) -> TrainingPlan:
        """Check the input, fit the scalers and return the plan of the training."""
        self._check_blocks(inputs)
        classes, labels, row_weights = self._labels(y, inputs)
        self._fit_scalers(inputs)
        h = self._condition(inputs)
        term = resolve_independence(self.independence)
        conditioning = self.conditioning
        if conditioning == "auto":
            # The gates do not depend on kappa, so that kappa=0 changes nothing but the term.
            conditioning = gates_of(self.independence)
        if self.kappa == 0 or not h.shape[1]:
            term = None
        spec = {
            "shape": tuple(inputs.shape),
            "n_channels": inputs.n_channels,
            "n_latents": self.dlr_size,
            "n_conditions": h.shape[1],
            "n_classes": len(classes) if classes is not None and self.gamma > 0 else 0,
            "conditioning": conditioning,
            "network": self.network,
            "normalise": self._option("reconstruction") == "normalised",
        }
        weights = {
            "kl": self.beta,
            "independence": self.kappa,
            "label": self.gamma,
            "total_correlation": self.disentangle,
        }
        terms = {
            "independence": term,
            "disentangle": TotalCorrelation() if self.disentangle > 0 else None,
        }
        return TrainingPlan(spec, h, labels, classes, row_weights, weights, terms)

    # Output --------------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Compute the features and latents of each lesion.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns), DataFrame or LesionTable
            `output="fused"`: the usable features in their own units (NaN imputed by the training
            median; principal components with `hcr_size`), then the posterior means of d. "dlr"
            and "hcr": one part alone. If samples have several lesions: a table with these
            columns.
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
        return [f"dlr{i:02d}" for i in range(self.net_.module_.n_latents)]

    def _names_out(self) -> list[str]:
        features = [*self.hcr_scaler_.names_out_, *self.clinical_scaler_.names_out_]
        latents = self._latent_names()
        return {"fused": features + latents, "dlr": latents, "hcr": features}[self.output]

    def reconstruct(self, X: Any, *, salient: bool = True) -> np.ndarray:
        """Reconstruct each lesion from h and its latents, or from h alone.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        salient : bool, default=True
            False replaces d by 0, the mean of its prior, which reconstructs from h alone.

        Returns
        -------
        array of shape (n_lesions, C, ...)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d if salient else np.zeros_like(d), self._condition(cohort))

    def sample(self, X: Any, *, random_state: Any = None) -> np.ndarray:
        """Draw lesions from the model: d from its prior, h of the given lesions.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions that h is taken from.
        random_state : int, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        array of shape (n_lesions, C, ...)
            Patches in the images' intensity units.
        """
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        d = np.random.default_rng(random_state).normal(size=(len(cohort.x), self.n_dlr_))
        return self._decode(d, self._condition(cohort))


class NonRedundantCVAE(ConditionedVAE):
    """Conditional VAE whose latents d (DLR) are independent of the hand-crafted features h.

    The encoder maps the masked patch x* (and h) to d, the decoder maps (h, d) to the patch, and an
    independence term keeps d from repeating h (Vétil et al. 2023, arXiv 2308.11389). The loss is

        reconstruction + beta * KL(q(d|x*, h) || N(0, I)) + kappa * I(h; d) + gamma * CE(y | h, d)

    and with `disentangle` also disentangle * TC(d), the total correlation of the latents. The
    reconstruction is the unexplained fraction of the voxel variance within the lesions, so that
    no weight depends on the size of the patches.

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
        Weight of the independence term; 0 trains without it.
    residualise : bool, default=True
        Whether the mean and the spread of each latent given h are removed after training, by
        regressions fitted to the training rows; see `Residualiser`. The decoder is given d, which
        h and the residuals determine, so that reconstructions do not change. The term keeps
        most of the dependence out of d during training, this step removes what is left.
    beta : float, default=1e-5
        Weight of the KL term.
    gamma : float, default=0
        Weight of the label term; 0 trains without labels.
    conditioning : {"auto", "gated", "plain"} or None, default="auto"
        How h enters the networks. "plain": h is an input of the decoder alone, as published.
        "gated": 16 linear mixtures of h also scale and shift d after the encoder and before the
        decoder, which makes d independent of h at less cost in reconstruction. "auto": "plain"
        if the term is itself trained (the density ratio), because gates make it easier to mislead
        the discriminator, else "gated"; also for `kappa=0`. None: h does not enter the
        networks.
    independent_of : "auto" or tuple of str, default="auto"
        What h consists of: the blocks "hcr" and "clinical", and columns of
        `LesionTable.samples` by name, such as the centre of a sample, whose categories become
        columns of h. "auto": all known features, the clinical columns with the hand-crafted ones
        where the table has any. Without features h is empty. A sample of a category that is not
        among the training samples has the mean of these columns, so that what its own category
        does to d is not removed. "clinical" raises an error if the table has no clinical columns.
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
    augment : "auto", sequence of str, callable or None, default="auto"
        "auto" mirrors lesions at random along every axis unless `gamma` is positive. This is safe
        without labels: a mirror image has the same h, and the network must still encode the side
        to reconstruct it. Or names out of `nonredundant.nn.augment.KINDS`, or a function of
        (patches, masks) tensors; with a label term, choose kinds that do not change the label.
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
        Further training options:

        - `callbacks`: list of skorch callbacks, for instance early stopping on `valid_total` (set
          a `validation_fraction`).
        - `lr_schedule`: "cosine" (the default: a linear rise over the first tenth of the steps,
          then a cosine decay) or "constant".
        - `optimizer__weight_decay`: weight decay of AdamW, 1e-4 by default.
        - `validation_fraction`: fraction of samples held out of training for the `valid_*`
          columns of `history_`, which early stopping can monitor; 0 by default.
        - `reconstruction`: "normalised" (the default) divides the squared error by the variance
          of the cohort, "summed" sums it over voxels as published.
        - `warm_start`: True makes `fit` continue from the weights of the previous fit.
        - `n_threads`: threads of the training on a CPU, 1 by default, so that the result does not
          depend on the machine's number of cores; more are faster on large cohorts, None takes
          all. The result of another number differs by rounding, which grows with every step.
        - `mixed_precision`: True uses half precision on CUDA (bfloat16 where the GPU has it).
        - `accelerate`: True shares each epoch among the processes of `accelerate launch`, one per
          GPU; extra `accelerate`.
        - any other argument of `skorch.NeuralNet`.
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
        The classes of the label term (with `gamma > 0` only).
    residualiser_ : Residualiser or None
        The regressions of d on h; None with `residualise=False` or without h.
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
    nonredundant.metrics.redundancy_report : Tests whether d is independent of h on new data.
    nonredundant.evaluation.compare_feature_sets : Measures what d adds to h.

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
        **CONDITIONED_CONSTRAINTS,
        "residualise": ["boolean"],
        "conditioning": [None, StrOptions({"auto", "gated", "plain"})],
    }

    def __init__(
        self,
        dlr_size: int = 16,
        *,
        hcr_size: int | None = None,
        independence: Any = "dcor",
        kappa: float = 0.2,
        residualise: bool = True,
        beta: float = 1e-5,
        gamma: float = 0.0,
        conditioning: str | None = "auto",
        independent_of: Sequence[str] | str = "auto",
        disentangle: float = 0.0,
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 8e-3,
        augment: str | Sequence[str] | Callable[..., Any] | None = "auto",
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
        self.residualise = residualise
        self.beta = beta
        self.gamma = gamma
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

    def fit(self, X: Any, y: Any = None) -> NonRedundantCVAE:
        """Train the VAE on the lesions of a cohort.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches; the rows of a plain matrix are encoded without HCR.
        y : array-like of shape (n_samples,), optional
            Labels for the label term; NaN or -1: unlabelled. Ignored if `gamma` is 0. A Series is
            aligned by its index.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the table has no usable patches or lacks a block of `independent_of`, if features
            are not numbers, or if y has a wrong length or is not made of classes.
        FloatingPointError
            If a term of the loss is not finite; the message names the term and the epoch.
        """
        self._validate_params()
        with unchanged_on_failure(self):
            cohort = self._read(X, reset=True)
            self._train(cohort, self._plan(cohort, align(y, X, "y") if self.gamma > 0 else None))
        self.n_dlr_ = self.dlr_size
        return self

    def _labels(self, y: Any, cohort: Cohort) -> tuple[Any, np.ndarray, np.ndarray]:
        if self.gamma > 0 and y is not None:
            return encode_labels(y, cohort)
        n = len(cohort.x)
        return None, np.full(n, -1, dtype=np.int64), np.ones(n)

    def _after_training(self, cohort: Cohort) -> None:
        self.residualiser_ = None
        h = self._condition_frame(cohort)
        if not (self.residualise and h.shape[1]):
            return
        rows = cohort.usable
        d = self._encode(cohort)[rows]
        self.residualiser_ = Residualiser().fit(h[rows], d, groups=cohort.sample[rows])

    def _encode(self, cohort: Cohort) -> np.ndarray:
        d = super()._encode(cohort)
        residualiser = getattr(self, "residualiser_", None)
        if residualiser is None:
            return d
        return residualiser.transform(self._condition_frame(cohort), d)

    def _decode(self, *parts: np.ndarray) -> np.ndarray:
        r, h = parts
        residualiser = getattr(self, "residualiser_", None)
        if residualiser is None:
            return super()._decode(r, h)
        return super()._decode(residualiser.inverse(pd.DataFrame(h).add_prefix("h"), r), h)

    def _mirrors(self) -> bool:
        return self.gamma == 0

    def _module_class(self) -> type:
        from nonredundant.nn.vae import ConditionalVAE

        return ConditionalVAE
