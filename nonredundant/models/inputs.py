"""Conversion of tables, matrices and labels to the input of the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.lesions.images import has_channel
from nonredundant.lesions.labels import check_one_kind, check_spelling
from nonredundant.lesions.stored_array import map_rows
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.survival import check_classes
from nonredundant.utils.user_warnings import warn_user

#: Largest number of masked voxels that the percentiles of the intensities are computed from.
_MOST_VOXELS = 4_000_000


@dataclass
class Cohort:
    """Input rows of a network.

    `x` are the patches (n, C, ...), `sample` is the sample of each row, `usable` marks the rows
    that have an image, and `blocks` gives the block of each column of `features`; `samples` is
    what else is known of the sample of each row. `h` are the conditions that the model which reads
    the cohort computes from them, once.
    """

    x: np.ndarray
    masks: np.ndarray | None
    sample: np.ndarray
    usable: np.ndarray
    features: pd.DataFrame
    blocks: dict[str, str]
    samples: pd.DataFrame
    h: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the grid of the patches; empty for a matrix."""
        return self.x.shape[2:]

    @property
    def n_channels(self) -> int:
        """Return the number of channels of the patches, or of columns of the matrix."""
        return self.x.shape[1]


def cohort_of_table(table: LesionTable) -> Cohort:
    """Check the patches of a table and return its cohort.

    Raises
    ------
    ValueError
        If the table has no patches, patches have fewer than 8 voxels per side, a usable patch
        has NaN or infinite voxels, or no patch is usable.
    """
    if not table.n_samples:
        raise ValueError("X is a table without samples: the selection that made it is empty")
    if table.patches is None:
        raise ValueError(
            "the table has no patches to learn from: extract it with "
            "RadiomicsExtractor(patch_shape=(32, 32, 32)), or add them by "
            "table.replace(patches=..., masks=...)"
        )
    if min(table.patches.shape[2:]) < 8:
        raise ValueError(f"patches must have at least 8 voxels per side, got {table.patches.shape}")
    usable = (table.status == "ok").to_numpy()[table.sample]
    if table.masks is not None:
        usable &= map_rows(lambda part: part.any(axis=_voxel_axes(part)), table.masks)
    broken = usable & map_rows(_is_broken, table.patches)
    if broken.any():
        labels = table.features.index[broken].tolist()
        raise ValueError(
            f"the patches of {len(labels)} lesions hold NaN or infinite voxels: cases "
            f"{labels[:5]}; repair these images or leave the cases out"
        )
    if table.patches.shape[1] > 1:
        usable &= map_rows(has_channel, table.patches).any(axis=1)
    if not usable.any():
        raise ValueError("no lesion of the table has an image; see table.status for the reasons")
    return Cohort(
        table.patches,
        table.masks,
        table.sample,
        usable,
        table.features,
        table.blocks,
        table.samples.iloc[table.sample],
    )


def _is_broken(part: np.ndarray) -> np.ndarray:
    """Return which patches have voxels that are no finite numbers, in another than a whole channel.

    A channel of NaN is that of a missing image, if there are several.
    """
    # A sum is finite only if all voxels are finite, and summing needs no copy of the patches.
    if part.shape[1] == 1:
        return ~np.isfinite(part.sum(axis=_voxel_axes(part), dtype=np.float64))
    sums = part.sum(axis=_voxel_axes(part)[1:], dtype=np.float64)
    odd = np.argwhere(~np.isfinite(sums))
    broken = np.zeros(len(part), dtype=bool)
    for row, channel in odd:
        broken[row] |= not np.isnan(part[row, channel]).all()
    return broken


def _voxel_axes(part: np.ndarray) -> tuple[int, ...]:
    """Return the axes of channels and voxels."""
    return tuple(range(1, part.ndim))


def cohort_of_matrix(X: np.ndarray) -> Cohort:
    """Return the cohort of a plain matrix: one-voxel patches without features."""
    n = len(X)
    frame = pd.DataFrame(index=pd.RangeIndex(n))
    return Cohort(X, None, np.arange(n), np.ones(n, dtype=bool), frame, {}, frame)


def intensity_statistics(cohort: Cohort, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the intensity statistics of the training rows.

    These are clipping bounds, mean and scale per channel, and the mean total variance per lesion.
    Vétil et al. 2023 clip to the 0.5 and 99.5 percentiles of the training cohort and
    standardise. The columns of a matrix are standardised and not clipped.
    """
    if not cohort.shape:
        x = cohort.x[rows].astype(np.float64)
        scale = x.std(axis=0)
        scale[scale == 0] = 1.0
        bound = np.full(x.shape[1], np.inf)
        total = np.asarray(float((x.std(axis=0) > 0).sum()) or 1.0)
        return _statistics(-bound, bound, x.mean(axis=0), scale, total)
    n_voxels = int(np.prod(cohort.shape))
    counts = np.full(len(rows), n_voxels)
    if cohort.masks is not None:
        counts = map_rows(lambda part: part.sum(axis=_voxel_axes(part)), cohort.masks)[rows]
    step = max(1, int(counts.sum() * cohort.n_channels // _MOST_VOXELS))
    parts = []
    for row in rows:
        voxels = cohort.x[row].reshape(cohort.n_channels, -1)
        if cohort.masks is not None:
            voxels = voxels[:, cohort.masks[row].ravel()]
        # Each lesion starts at another voxel; always starting at the first would favour borders.
        # A copy: a view would keep all voxels of the lesion.
        parts.append(voxels[:, row % min(step, voxels.shape[1]) :: step].copy())
    voxels = np.concatenate(parts, axis=1).astype(np.float64)
    if not np.isnan(voxels).any():
        low, high = np.percentile(voxels, [0.5, 99.5], axis=1)
        voxels = np.clip(voxels, low[:, None], high[:, None])
        scale = voxels.std(axis=1)
        scale[scale == 0] = 1.0
        total = np.asarray(counts.mean() * cohort.n_channels)
        return _statistics(low, high, voxels.mean(axis=1), scale, total)
    # Each channel by the lesions that have it; each has the same weight in the likelihood.
    present = map_rows(has_channel, cohort.x)[rows]
    if not present.any(axis=0).all():
        lost = np.flatnonzero(~present.any(axis=0)).tolist()
        raise ValueError(
            f"no lesion to train on has the images of the channels {lost} (from 0); leave these "
            "images out"
        )
    low, high = np.nanpercentile(voxels, [0.5, 99.5], axis=1)
    voxels = np.clip(voxels, low[:, None], high[:, None])
    scale = np.nanstd(voxels, axis=1)
    scale[scale == 0] = 1.0
    total = np.asarray((counts * present.sum(axis=1)).mean())
    return _statistics(low, high, np.nanmean(voxels, axis=1), scale, total)


def _statistics(low: Any, high: Any, mean: Any, scale: Any, total: Any) -> dict[str, np.ndarray]:
    """Return the statistics by the names of the buffers of the network."""
    return {
        "scaler.low": low,
        "scaler.high": high,
        "scaler.mean": mean,
        "scaler.scale": scale,
        "total_variance": total,
    }


def split_samples(sample: np.ndarray, fraction: float, rng: np.random.RandomState) -> np.ndarray:
    """Choose the rows to hold out, by whole samples so that no patient is in both parts."""
    # GroupShuffleSplit rounds the number of held-out groups up and refuses a fraction of 0.
    samples = np.unique(sample)
    n_held = int(round(fraction * len(samples)))
    held = rng.permutation(samples)[:n_held]
    return np.isin(sample, held)


def encode_labels(y: Any, cohort: Cohort) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encode labels: the classes, and the position (-1: unlabelled) and weight of each lesion.

    All lesions of a sample get its label, with weights that sum to one, so that patients with
    many lesions do not dominate.

    Raises
    ------
    ValueError
        If y has a wrong length, is continuous, has fewer than two classes, or spells one in
        several ways.
    """
    labels, missing = _labels_of_samples(y, cohort)
    check_one_kind(labels[~missing].tolist(), "y")
    n_samples = len(labels)
    if pd.api.types.is_numeric_dtype(labels.dtype):
        fractional = labels[~missing] % 1 != 0
        if fractional.any():
            raise ValueError(
                f"y must hold classes for the label term (gamma > 0), got continuous values such "
                f"as {labels[~missing][fractional].iloc[0]}"
            )
    classes, codes = np.unique(labels[~missing].to_numpy(), return_inverse=True)
    check_spelling(classes.tolist())
    if len(classes) < 2:
        if (labels == -1).any():
            raise ValueError(
                f"y holds the values {np.unique(labels.dropna()).tolist()}: -1 means unlabelled "
                f"for the label term (gamma > 0), which leaves {len(classes)} class; code the "
                "classes 0 and 1"
            )
        raise ValueError(
            f"y holds {len(classes)} class ({classes.tolist()}) among its {(~missing).sum()} "
            "labels; the label term (gamma > 0) needs two or more"
        )
    positions = np.full(n_samples, -1, dtype=np.int64)
    positions[~missing] = codes
    return classes, positions[cohort.sample], label_weights(cohort).astype(np.float32)


def _labels_of_samples(y: Any, cohort: Cohort) -> tuple[pd.Series, np.ndarray]:
    """Return the label of each sample, and a mask of unlabelled samples (NaN or -1)."""
    check_classes(y, "the label term takes no times; set gamma=0, or give classes")
    array = np.asarray(y)
    if array.ndim > 1 and array.shape != (len(array), 1):
        raise ValueError(f"y has the shape {array.shape}: give one label per sample")
    labels = pd.Series(array.ravel())
    n_samples = int(cohort.sample[-1]) + 1
    if len(labels) != n_samples:
        raise ValueError(f"y has {len(labels)} labels but there are {n_samples} samples")
    numeric = pd.api.types.is_numeric_dtype(labels.dtype)
    return labels, (labels.isna() | (numeric & (labels == -1))).to_numpy()


def label_weights(cohort: Cohort) -> np.ndarray:
    """Compute the weight of each lesion; those of the usable lesions of a sample sum to one."""
    counts = np.bincount(cohort.sample, cohort.usable)
    return 1.0 / np.maximum(counts, 1.0)[cohort.sample]


def target_labels(y: Any, cohort: Cohort) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encode labels of background and targets: classes, background first, positions and weights.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        0 for background; each other value is a class of target. Of numbers without a 0, the
        lowest is the background, with a warning.
    cohort : Cohort
        The lesions.

    Returns
    -------
    classes, labels, weight : arrays
        As `encode_labels` returns them.

    Raises
    ------
    ValueError
        If y is missing, has a wrong length, unlabelled samples, no background or no target.
    """
    if y is None:
        raise ValueError(
            "this model requires y to be passed, but the target y is None; y is 0 for background "
            "and 1 for targets"
        )
    labels, unlabelled = _labels_of_samples(y, cohort)
    if unlabelled.any():
        raise ValueError(
            f"{unlabelled.sum()} samples have no label (NaN or -1), the first at position "
            f"{int(np.argmax(unlabelled))}: a contrastive model needs the label of every sample, "
            "0 for background and another value for targets; leave these samples out"
        )
    zero = _background(labels)
    background = (labels == zero).to_numpy()
    targets = np.unique(labels[~background].to_numpy())
    if background.all() or not background.any():
        raise ValueError(
            f"y holds {int(background.sum())} samples of background (0) and "
            f"{int((~background).sum())} targets (other values; here {targets[:5].tolist()}): "
            "a contrastive model needs both; code the background as 0, for instance "
            "y = (labels != 'healthy').astype(int)"
        )
    classes = np.concatenate([np.full(1, zero, dtype=targets.dtype), targets])
    positions = np.zeros(len(labels), dtype=np.int64)
    positions[~background] = 1 + np.searchsorted(targets, labels[~background].to_numpy())
    return classes, positions[cohort.sample], label_weights(cohort)


def _background(labels: pd.Series) -> Any:
    """Return the label of the background: 0, else the lowest of several numbers, with a warning."""
    numbers = pd.api.types.is_numeric_dtype(labels.dtype) and not (labels == 0).any()
    if not numbers or labels.nunique() < 2:
        return 0
    lowest = labels.min()
    warn_user(
        f"y has no label 0, so that the lowest label, {lowest}, is taken for the background of "
        f"{int((labels == lowest).sum())} samples; code the background as 0 if it is another one",
        "background",
    )
    return lowest
