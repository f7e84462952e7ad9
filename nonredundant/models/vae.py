"""`VAE`: the family's plain autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant.models.base import VAE_CONSTRAINTS, VAEEstimator
from nonredundant.models.inputs import Cohort
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.utils.validation import Interval


class VAE(VAEEstimator):
    """Variational autoencoder of patches: `NonRedundantCVAE` without hand-crafted features.

    The loss is reconstruction + beta * KL(q(z|x*) || N(0, I)) (Kingma & Welling 2014,
    arXiv 1312.6114), its reconstruction the fraction of the voxels' variance left unexplained.

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
        "auto" mirrors lesions at random along every axis: a network without labels must still
        distinguish the sides to reconstruct them. Otherwise as for `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        As for `NonRedundantCVAE`.
    device : str, default="auto"
        "auto" takes CUDA where there is one.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches and draws.
    net_params : dict or None, default=None
        Further options of the training, as for `NonRedundantCVAE`.
    verbose : int, default=0
        1 prints one line per epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row per epoch: `total, reconstruction, kl` and `valid_*`.
    dead_latents_ : list of str
        Latents that collapsed to their prior; a warning says so when most did.

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
        """Train the VAE on a cohort's patches.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches, whose features are not used; or a matrix, encoded by row.
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
            If a term of the loss is no longer a finite number; the message names term and epoch.
        """
        self._validate_params()
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
        return TrainingPlan(
            self._module_class(), spec, self._condition(inputs), labels, weights=weights
        )

    def transform(self, X: Any) -> Any:
        """Return the posterior means of each lesion's latents.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, latent_size), DataFrame or LesionTable
            The latents; with several lesions per sample, a table with them as features.
        """
        _, z = self._latents(X)
        return self._rows(z, X)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Return patches drawn from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        array of shape (n_samples, C, *spatial)
            Patches in the images' intensity units.
        """
        check_is_fitted(self, "net_")
        z = np.random.default_rng(random_state).normal(size=(n_samples, self.latent_size))
        return self._decode(z, np.zeros((n_samples, 0)))

    def _module_class(self) -> type:
        from nonredundant.nn.vae import ConditionalVAE

        return ConditionalVAE

    def _latent_names(self) -> list[str]:
        return [f"latent{i:02d}" for i in range(self.net_.module_.n_latents)]
