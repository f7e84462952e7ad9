"""`VAE`: a variational autoencoder of patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant.models.base import VAE_CONSTRAINTS, VAEEstimator
from nonredundant.models.inputs import Cohort
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import Interval


class VAE(VAEEstimator):
    """Variational autoencoder of patches: `NonRedundantCVAE` without hand-crafted features.

    The loss is reconstruction + beta * KL(q(z|x*) || N(0, I)) (Kingma & Welling 2014,
    arXiv 1312.6114). The reconstruction is the unexplained fraction of the voxel variance.

    Parameters
    ----------
    latent_size : int, default=16
        Number of latents.
    beta : float, default=1e-5
        Weight of the KL term.
    max_epochs : int, default=100
        Number of passes over the training cohort.
    batch_size : int, default=64
        Lesions per step.
    lr : float, default=8e-3
        Highest learning rate of AdamW.
    augment : "auto", sequence of str, callable or None, default="auto"
        "auto" mirrors lesions at random along every axis. For the other values see
        `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        As for `NonRedundantCVAE`.
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
        One row per epoch: `total, reconstruction, kl`, and `valid_*` with a `validation_fraction`.
    dead_latents_ : list of str
        Latents that collapsed to their prior; `fit` warns if most did.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.contrastive import VAE
    >>> from nonredundant.lesions import LesionTable
    >>> patches = np.random.default_rng(0).normal(size=(12, 1, 8, 8))
    >>> vae = VAE(2, max_epochs=20, random_state=0, device="cpu")
    >>> vae.fit_transform(LesionTable.from_arrays(patches=patches)).shape
    (12, 2)
    """

    _parameter_constraints = {
        **VAE_CONSTRAINTS,
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        latent_size: int = 16,
        *,
        beta: float = 1e-5,
        max_epochs: int = 100,
        batch_size: int = 64,
        lr: float = 8e-3,
        augment: str | Sequence[str] | Callable[..., Any] | None = "auto",
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.latent_size = latent_size
        self.beta = beta
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.augment = augment
        self.network = network
        self.device = device
        self.random_state = random_state
        self.net_params = net_params
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> VAE:
        """Train the VAE on the patches of a cohort.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches; features are not used. Or a matrix, whose rows are encoded.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the table has no usable patches.
        FloatingPointError
            If a term of the loss is not finite; the message names the term and the epoch.
        """
        self._validate_params()
        with unchanged_on_failure(self):
            cohort = self._read(X, reset=True)
            self._train(cohort, self._plan(cohort, None))
        return self

    def _plan(self, inputs: Cohort, y: Any) -> TrainingPlan:
        spec = {
            "shape": tuple(inputs.shape),
            "n_channels": inputs.n_channels,
            "n_latents": self.latent_size,
            "network": self.network,
            "normalise": self._option("reconstruction") == "normalised",
        }
        labels = np.full(len(inputs.x), -1)
        weights = {"kl": self.beta}
        return TrainingPlan(spec, self._condition(inputs), labels, weights=weights)

    def transform(self, X: Any) -> Any:
        """Compute the posterior means of the latents of each lesion.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, latent_size), DataFrame or LesionTable
            The latents; if samples have several lesions, a table with the latents as features.
        """
        _, z = self._latents(X)
        return self._rows(z, X)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw patches from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of patches.
        random_state : int, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        array of shape (n_samples, C, ...)
            Patches in the intensity units of the images.
        """
        check_is_fitted(self, "net_")
        z = np.random.default_rng(random_state).normal(size=(n_samples, self.latent_size))
        return self._decode(z, np.zeros((n_samples, 0)))

    def _module_class(self) -> type:
        from nonredundant.nn.vae import ConditionalVAE

        return ConditionalVAE

    def _latent_names(self) -> list[str]:
        return [f"latent{i:02d}" for i in range(self.net_.module_.n_latents)]
