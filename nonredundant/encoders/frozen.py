"""`FrozenEncoder`: a pretrained network that turns the patch of each lesion into an embedding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.encoders.checks import InputChecks
from nonredundant.encoders.digest import module_digest
from nonredundant.encoders.inputs import LARGEST, ORTHOGONAL, WINDOWS, Input, orientations
from nonredundant.encoders.modules import Encode, encode_function, pooled
from nonredundant.lesions.blocks import check_embedding_name, embedding_columns
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.cache import KeptFunction, absolute_cache
from nonredundant.utils.output import NamedOutputMixin
from nonredundant.utils.validation import Interval, InvalidParameterError, StrOptions

#: Cases that a warning names.
_SHOWN = 5
#: Part of every cache key; raised whenever the same input gives other values.
_FORMAT = 2


class FrozenEncoder(NamedOutputMixin, TransformerMixin, BaseEstimator):
    """Run a pretrained network over the patches of lesions and add what it returns to the table.

    The network sees what it was trained to see: its voxel size, field of view, intensity window
    and axes. What does not fit is told: lesions larger than the field of view, intensities
    outside of the window, voxel sizes that change by more than two times, patches that do not
    cover the field of view. Nothing is learned; the weights stay as they are.

    Parameters
    ----------
    module : torch.nn.Module, str, path or callable
        The network; a file in the format ONNX (extra "encoders"); or a function from an array of
        shape (n, n_channels, z, y, x) or (n, n_channels, y, x) to one of shape (n, n_features).
        Maps of features are averaged over their voxels.
    name : str, default="Encoder"
        Name of the embedding, its block and its feature set.
    patch_shape : tuple of int or None, default=None
        Voxels that the network takes, in the order of the patch's axes z, y, x; two for a
        network of images. None: the shape of the patches.
    patch_spacing : float or "fit", default="fit"
        Voxel size in mm. "fit": the patch as a whole is scaled to `patch_shape`.
    window : (float, float), "standardise", "range" or None, default=None
        Intensities that become 0 and 1; or each patch is scaled by its own mean and standard
        deviation, or by its own range; None leaves them as they are.
    clip : bool, default=True
        Whether intensities outside of the window or range are cut off.
    masked : bool, default=False
        Whether voxels outside of the lesion are set to 0 after scaling.
    channels : int or sequence of (float, float), default=1
        Number of equal channels, or the mean and standard deviation by which each of them is
        standardised after scaling, as models of photographs ask for.
    orientation : str or None, default="SPL"
        The direction to which each axis of the network's input points. That of patches is "SPL":
        superior, posterior, left; None: they are not turned. Images in 2-D are never turned.
    slices : {"largest", "orthogonal"}, default="largest"
        What a network of images sees of a volume: the axial slice with most voxels of the lesion;
        or the three slices through the middle, whose embeddings are averaged.
    batch_size : int, default=16
        Lesions per pass.
    device : str, default="cpu"
        Where a torch module runs, such as "cuda".
    memory : str, path, joblib.Memory or None, default=None
        Keeps embeddings by the content of the input and of the module, so that a lesion is
        encoded once. Its files are read with pickle: use folders that only trusted users can
        write to.

    Attributes
    ----------
    n_features_ : int
        Features of the embedding.
    digest_ : str
        Checksum of the weights, settings and code, or of the file; empty if it cannot be told,
        which `memory` does not allow.
    feature_names_in_ : array of str
        Columns of the table at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    nonredundant.encoders.RECIPES : What public models ask for.
    nonredundant.RadiomicsExtractor : `embeddings={name: encoder}` crops at the encoder's own field
        of view and voxel size.
    nonredundant.NonRedundantEmbedding : The part of the embedding that other features do not know.

    Notes
    -----
    A module is set to evaluation mode and runs without gradients. `clone` copies it; its weights
    are part of the parameters of the pipeline that contains it.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from nonredundant import LesionTable
    >>> patches = np.random.default_rng(0).normal(size=(6, 1, 16, 16, 16))
    >>> table = LesionTable.from_arrays(
    ...     patches=patches, masks=np.ones(patches.shape, dtype=bool), spacing=[2.0, 2.0, 2.0]
    ... )
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3), torch.nn.ReLU())
    >>> encoder = FrozenEncoder(network, name="Untrained", patch_shape=(16, 16, 16))
    >>> encoder.fit_transform(table).embeddings["Untrained"].shape
    (6, 8)
    """

    _parameter_constraints: dict[str, Any] = {
        "patch_shape": [tuple, list, None],
        "patch_spacing": [Interval(Real, 0, None, closed="neither"), StrOptions({"fit"})],
        "window": [tuple, list, StrOptions(set(WINDOWS)), None],
        "clip": ["boolean"],
        "masked": ["boolean"],
        "channels": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "orientation": [StrOptions(set(orientations())), None],
        "slices": [StrOptions({LARGEST, ORTHOGONAL})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
    }

    def __init__(
        self,
        module: Any,
        *,
        name: str = "Encoder",
        patch_shape: Sequence[int] | None = None,
        patch_spacing: float | str = "fit",
        window: Sequence[float] | str | None = None,
        clip: bool = True,
        masked: bool = False,
        channels: int | Sequence[tuple[float, float]] = 1,
        orientation: str | None = "SPL",
        slices: str = LARGEST,
        batch_size: int = 16,
        device: str = "cpu",
        memory: Any = None,
    ) -> None:
        self.module = module
        self.name = name
        self.patch_shape = patch_shape
        self.patch_spacing = patch_spacing
        self.window = window
        self.clip = clip
        self.masked = masked
        self.channels = channels
        self.orientation = orientation
        self.slices = slices
        self.batch_size = batch_size
        self.device = device
        self.memory = memory

    def fit(self, X: LesionTable, y: Any = None) -> FrozenEncoder:
        """Check the parameters, and run the network on one lesion.

        Parameters
        ----------
        X : LesionTable
            Lesions with patches.
        y : array, optional
            Ignored.

        Returns
        -------
        self
            The encoder.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range.
        TypeError, ValueError
            If X has no patches, or the module does not take or return what it should.
        """
        self._validate_params()
        if not isinstance(self.module, str | Path) and (
            isinstance(self.module, type) or not callable(self.module)
        ):
            raise TypeError(
                "module must be a torch module, a function or the path of a file in the format "
                f"ONNX, got {self.module!r}"
            )
        table = self._checked(X)
        self.digest_ = self._digest()
        rows = _encodable(table)[:1]
        values = self._encoded(table, rows, self.digest_, tell=False)
        self.n_features_ = values.shape[1]
        self.feature_names_in_ = np.asarray(table.columns, dtype=object)
        self.n_features_in_ = len(table.columns)
        return self

    def transform(self, X: LesionTable) -> LesionTable:
        """Encode the lesions.

        Parameters
        ----------
        X : LesionTable
            Lesions with patches.

        Returns
        -------
        LesionTable
            The table with the embedding as a further block; NaN for lesions without a patch.

        Raises
        ------
        TypeError, ValueError
            If X has no patches, the module is not as at `fit`, or returns something that is no
            finite number, or another number of features.
        """
        check_is_fitted(self, "n_features_")
        table = self._checked(X)
        if self._digest() != self.digest_:
            raise ValueError(
                f"the module of the encoder {self.name!r} is not the one of fit: its weights, "
                "settings or code have changed since; fit the encoder again"
            )
        rows = _encodable(table)
        found = self._encoded(table, rows, self.digest_, tell=True)
        if len(rows) and found.shape[1] != self.n_features_:
            raise ValueError(
                f"the module returned {self.n_features_} features at fit and {found.shape[1]} now"
            )
        values = np.full((table.n_lesions, self.n_features_), np.nan)
        values[rows] = found
        columns = embedding_columns(self.name, range(self.n_features_))
        return table.add_columns(pd.DataFrame(values, columns=columns), self.name)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """List the columns of the table that `transform` returns.

        Parameters
        ----------
        input_features : array of str, optional
            Ignored: the names are those of `fit`.

        Returns
        -------
        array of str
            Columns at `fit`, then those of the embedding.
        """
        check_is_fitted(self, "n_features_")
        added = embedding_columns(self.name, range(self.n_features_))
        return np.asarray([*self.feature_names_in_, *added], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def crop_shape(self, n_dim: int) -> tuple[int, ...]:
        """Return the shape of the patch that has to be cropped from images of these dimensions.

        Parameters
        ----------
        n_dim : {2, 3}
            Dimensions of the images.

        Returns
        -------
        tuple of int
            Its voxels; a cube for a network of images that sees slices of a volume.

        Raises
        ------
        InvalidParameterError
            If the encoder has no `patch_shape`, or a volume's for images.
        """
        shape = self._input(n_dim).shape
        return shape if len(shape) == n_dim else (max(shape), *shape)

    def _validate_params(self) -> None:
        """Check the parameters."""
        super()._validate_params()
        check_embedding_name(self.name)
        shape = self.patch_shape
        if shape is not None and not (
            len(shape) in (2, 3) and all(isinstance(n, Integral) and n > 0 for n in shape)
        ):
            raise InvalidParameterError(
                f"patch_shape must be None or 2 or 3 positive integers, got {shape!r}"
            )
        window = self.window
        if isinstance(window, tuple | list) and not (len(window) == 2 and window[0] < window[1]):
            raise InvalidParameterError(
                f"window must be two intensities, the lower one first, got {window!r}"
            )
        if isinstance(self.channels, tuple | list) and not (
            self.channels and all(len(np.atleast_1d(p)) == 2 and p[1] > 0 for p in self.channels)
        ):
            raise InvalidParameterError(
                "channels must be a number, or a pair of mean and positive standard deviation for "
                f"each channel, got {self.channels!r}"
            )

    def _input(self, n_dim: int, own: tuple[int, ...] | None = None) -> Input:
        """Return what the network takes."""
        shape = own if self.patch_shape is None else tuple(int(n) for n in self.patch_shape)
        if shape is None:
            raise InvalidParameterError(
                f"the encoder {self.name!r} needs a patch_shape to crop patches from images"
            )
        if len(shape) > n_dim:
            raise InvalidParameterError(
                f"patch_shape {shape} has {len(shape)} axes, but images have {n_dim}: an encoder "
                "of volumes cannot see them"
            )
        if len(shape) < n_dim and self.slices == ORTHOGONAL and len(set(shape)) > 1:
            raise InvalidParameterError(
                f"slices='orthogonal' needs a square patch_shape, got {shape}"
            )
        channels: Any = self.channels
        if isinstance(channels, Integral):
            channels = ((0.0, 1.0),) * int(channels)
        window: Any = self.window
        if isinstance(window, tuple | list):
            window = (float(window[0]), float(window[1]))
        return Input(
            shape=shape,
            spacing=self.patch_spacing
            if self.patch_spacing == "fit"
            else float(self.patch_spacing),
            window=window,
            clip=bool(self.clip),
            masked=bool(self.masked),
            channels=tuple((float(mean), float(spread)) for mean, spread in channels),
            orientation=self.orientation if len(shape) == 3 else None,
            slices=self.slices,
        )

    def _digest(self) -> str:
        """Return what identifies the module, which a cache needs."""
        try:
            return module_digest(self.module)
        except TypeError:
            if self.memory is not None:
                raise
            return ""

    def _checked(self, X: Any) -> LesionTable:
        """Return the table, or say what is missing."""
        if not isinstance(X, LesionTable):
            raise TypeError(
                f"FrozenEncoder takes a LesionTable with patches, got {type(X).__name__}; from "
                "images, RadiomicsExtractor(embeddings={'name': encoder}) crops what it needs"
            )
        if X.patches is None or X.masks is None:
            raise ValueError(
                "FrozenEncoder needs patches and masks of the lesions: set patch_shape in "
                "RadiomicsExtractor"
            )
        if X.patches.shape[1] != 1:
            raise ValueError(
                f"the patches have {X.patches.shape[1]} channels; an encoder sees one image: pass "
                "the table of that image"
            )
        if self.name in X.embedding_names:
            raise ValueError(f"the table has an embedding {self.name!r} already: set another name")
        if self.patch_spacing != "fit" and X.spacing is None:
            raise ValueError(
                f"patch_spacing is {self.patch_spacing} mm, but the voxel size of the patches is "
                "not known: give spacing to the LesionTable, or set patch_spacing='fit'"
            )
        _check_spacing(X)
        return X

    def _encoded(
        self, table: LesionTable, rows: np.ndarray, digest: str, *, tell: bool
    ) -> np.ndarray:
        """Return the embeddings of lesions with patches."""
        patches: Any = table.patches
        spec = self._input(patches.ndim - 2, patches.shape[2:])
        checks = InputChecks(spec)
        encode = encode_function(self.module, self.device)
        kept = (
            None
            if self.memory is None
            else KeptFunction(absolute_cache(self.memory), _keep, ["values"])
        )
        found = [
            row
            for batch in _batches(table, rows, spec, checks, int(self.batch_size))
            for row in _encode_batch(batch, encode, kept, f"{_FORMAT}{digest}")
        ]
        if not found:
            return np.empty((0, getattr(self, "n_features_", 0)))
        values = np.stack(found)
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            cases = table.index[table.sample[rows[bad]]].unique()[:_SHOWN].tolist()
            raise ValueError(
                f"the module {self.name!r} returns values that are not finite for "
                f"{int(bad.sum())} lesions: cases {cases}; check window and patches"
            )
        if tell:
            checks.warn(self.name, table.index[table.sample[rows]])
        return values


def _check_spacing(table: LesionTable) -> None:
    """Raise if the voxels of a patch are no cubes of a known size."""
    if table.spacing is None:
        return
    own = table.spacing[_encodable(table)]
    odd = ~np.isclose(own, own[:, :1], rtol=1e-3) | ~(own > 0)
    if odd.any():
        rows = _encodable(table)[odd.any(axis=1)]
        cases = table.index[table.sample[rows]].unique()[:_SHOWN].tolist()
        raise ValueError(
            f"the voxels of {len(rows)} patches are no cubes of a known size, such as "
            f"{table.spacing[rows[0]].tolist()} mm: cases {cases}; crop patches by "
            "RadiomicsExtractor, which makes them so, or resample them to one size"
        )


def _encodable(table: LesionTable) -> np.ndarray:
    """Return the rows of lesions that were measured and have a patch."""
    measured = table.lesion_status.to_numpy() == "ok"
    return np.flatnonzero(measured)


def _batches(
    table: LesionTable, rows: np.ndarray, spec: Input, checks: InputChecks, size: int
) -> Iterator[list[np.ndarray]]:
    """Yield the inputs of some lesions, each with its views."""
    patches: Any = table.patches
    masks: Any = table.masks
    for start in range(0, len(rows), size):
        batch = []
        for row in rows[start : start + size]:
            values = np.asarray(patches[row, 0], dtype=np.float32)
            inside = np.asarray(masks[row, 0]) > 0
            spacing = None if table.spacing is None else table.spacing[row].mean()
            checks.add(values, inside, spacing)
            batch.append(spec.of_lesion(values, inside, spacing))
        yield batch


def _keep(key: str, values: Any) -> Any:
    """Return the values, which are kept by the key."""
    return values


def _encode_batch(
    batch: list[np.ndarray], encode: Encode, kept: KeptFunction | None, digest: str
) -> list[np.ndarray]:
    """Encode lesions that the cache does not hold; the views of one are averaged."""
    keys = [
        hashlib.sha256(digest.encode() + repr(x.shape).encode() + x.tobytes()).hexdigest()
        for x in batch
    ]
    held = [] if kept is None else [i for i, key in enumerate(keys) if kept.holds(key, None)]
    known = {i: np.asarray(kept(keys[i], None)) for i in held if kept is not None}
    new = [i for i in range(len(batch)) if i not in known]
    if new:
        joined = np.concatenate([batch[i] for i in new])
        output = pooled(encode(joined), len(joined))
        ends = np.cumsum([len(batch[i]) for i in new])[:-1]
        for i, views in zip(new, np.split(output, ends), strict=True):
            row = views.mean(axis=0)
            known[i] = row if kept is None else np.asarray(kept(keys[i], row))
    return [known[i] for i in range(len(batch))]
