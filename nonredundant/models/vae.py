"""`VAE`: the family's plain autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant.models.base import TRAINING_CONSTRAINTS, GenerativeMethods
from nonredundant.utils.validation import Interval


class VAE(GenerativeMethods):
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
        Lesions a step.
    lr : float, default=8e-3
        Highest learning rate of AdamW.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        As for `NonRedundantCVAE`.
    weight_decay : float, default=1e-4
        Weight decay of AdamW.
    validation_fraction : float, default=0.1
        Share of samples kept out of training for the `valid_*` columns of `history_`.
    augment : "auto", sequence of str, callable or None, default="auto"
        "auto" mirrors lesions at random along every axis: a network without labels must still
        tell the sides apart to reconstruct them. Otherwise as for `NonRedundantCVAE`.
    network : dict, callable or None, default=None
        As for `NonRedundantCVAE`.
    device : str, default="auto"
        "auto" takes CUDA where there is one.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches and draws.
    callbacks : list or None, default=None
        skorch callbacks.
    net_params : dict or None, default=None
        Further arguments of the skorch net.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row an epoch: `total, reconstruction, kl` and `valid_*`.
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
        **{name: rule for name, rule in TRAINING_CONSTRAINTS.items() if name != "output"},
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
        lr_schedule: str = "cosine",
        weight_decay: float = 1e-4,
        validation_fraction: float = 0.1,
        augment: str | Sequence[str] | Callable[..., Any] | None = "auto",
        network: Mapping[str, Any] | Callable[..., Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
        callbacks: list[Any] | None = None,
        net_params: dict[str, Any] | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.latent_size = latent_size
        self.beta = beta
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.augment = augment
        self.network = network
        self.device = device
        self.random_state = random_state
        self.callbacks = callbacks
        self.net_params = net_params
        self.warm_start = warm_start
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
            If a term of the loss stops being a number; the message names term and epoch.
        """
        self._validate_params()
        cohort = self._read(X, reset=True)
        n = len(cohort.x)
        spec = {
            "shape": tuple(cohort.shape),
            "n_channels": cohort.n_channels,
            "n_latents": self.latent_size,
            "network": self.network,
        }
        self._train(cohort, self._condition(cohort), np.full(n, -1), np.ones(n), spec)
        self._settle(cohort)
        return self

    def transform(self, X: Any) -> Any:
        """Return the posterior means of each lesion's latents.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, latent_size), DataFrame or LesionTable
            The latents; with several lesions a sample, a table with them as features.
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

    def _weights(self) -> dict[str, float]:
        return {"kl": self.beta}

    def _term(self) -> None:
        return None

    def _latent_names(self) -> list[str]:
        return [f"latent{i:02d}" for i in range(self.net_.module_.n_latents)]

    def _names_out(self) -> list[str]:
        return self._latent_names()
