"""A small cohort that is scaled and cut into blocks once, not in each step of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nonredundant.nn.augment import Augmentation, flipped
from nonredundant.nn.batches import LesionDataset
from nonredundant.nn.blocks import IntensityScaler, PatchLayout
from nonredundant.nn.losses import Batch

#: Most bytes of the cut patches in all orientations: those of 204 patches of 32³ that are flipped
#: along three axes, or of 1,638 that are not.
MOST_BYTES = 256 << 20
#: Rows that are cut at a time.
CHUNK = 64


class CutLesions(Dataset):
    """The rows of a dataset as a step cuts them, in each orientation that has been drawn.

    Parameters
    ----------
    dataset : LesionDataset
        The rows, in memory.
    scaler : IntensityScaler
        Scales and masks them.
    layout : PatchLayout
        The layout of the networks.
    """

    def __init__(
        self, dataset: LesionDataset, scaler: IntensityScaler, layout: PatchLayout
    ) -> None:
        self.dataset, self.scaler, self.layout = dataset, scaler, layout
        self._cut: dict[tuple[int, ...], tuple[Tensor, Tensor | None]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Return a batch by its positions."""
        chosen = torch.as_tensor(positions)
        augment = self.dataset.augment
        axes = () if augment is None else tuple(augment.axes_to_flip())
        if axes not in self._cut:
            self._cut[axes] = self._oriented(axes)
        x, inside = self._cut[axes]
        mask = None if inside is None else _selected(inside, chosen)
        return Batch(_selected(x, chosen), mask, *self.dataset.known(positions), is_cut=True)

    @torch.no_grad()
    def _oriented(self, axes: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """Cut all rows in one orientation, some at a time; what is 0 or 1 is kept in a byte."""
        kept, insides = torch.empty(0), []
        for start in range(0, len(self), CHUNK):
            some = self.dataset.plain(range(start, min(start + CHUNK, len(self))))
            x, mask = flipped(some.x, some.mask, axes)
            x, inside = self.scaler.cut(some._replace(x=x, mask=mask), self.layout)
            if not start:
                kept = _room(x, len(self))
            kept[start : start + len(x)] = x
            insides.append(None if inside is None else inside.to(torch.uint8))
        return kept, _joined(insides, len(self))


def _room(x: Tensor, n_rows: int) -> Tensor:
    """Return memory for rows like those of x, and as they lie there."""
    if x.is_contiguous():
        return x.new_empty((n_rows, *x.shape[1:]))
    last = x.movedim(1, -1)
    return last.new_empty((n_rows, *last.shape[1:])).movedim(-1, 1)


def _joined(insides: list[Tensor | None], n_rows: int) -> Tensor | None:
    """Join the masks of parts of the rows; a part without one counts whole."""
    there = [inside for inside in insides if inside is not None]
    if not there:
        return None
    # Only where an image of some row is missing has the mask of a part its channels.
    shape = torch.broadcast_shapes(*(inside.shape[1:] for inside in there))
    whole = torch.ones((), dtype=torch.uint8)
    sizes = [min(CHUNK, n_rows - start) for start in range(0, n_rows, CHUNK)]
    return torch.cat(
        [
            (whole if inside is None else inside).expand(size, *shape)
            for inside, size in zip(insides, sizes, strict=True)
        ]
    )


def _selected(part: Tensor, chosen: Tensor) -> Tensor:
    """Select rows; blocks stay in channels-last memory."""
    if part.is_contiguous():
        return part.index_select(0, chosen)
    return part.movedim(1, -1).index_select(0, chosen).movedim(-1, 1)


def cut_once(dataset: Any, module: Any, device: str) -> Any:
    """Return a dataset whose patches are cut once, if that is possible and small.

    Parameters
    ----------
    dataset : Dataset
        The rows to train on.
    module : nn.Module
        The network, with a `scaler` and a `layout`.
    device : str
        Device of the training; a GPU cuts faster than it copies.

    Returns
    -------
    CutLesions or Dataset
        The same rows. The dataset itself where patches are in a store or rows of a matrix, or
        where they are rotated, shifted or changed by a function of the user.
    """
    if torch.device(device).type != "cpu" or not isinstance(dataset, LesionDataset):
        return dataset
    augment, x = dataset.augment, dataset.x
    flips = 0
    # A subclass may change voxels.
    if type(augment) is Augmentation and augment.flips_alone:
        flips = len(augment.kinds)
    elif augment is not None:
        return dataset
    if not isinstance(x, np.ndarray) or x.ndim < 4:
        return dataset
    n_bytes = len(dataset) * 2**flips * x[0].size * (x.itemsize + 1)
    return CutLesions(dataset, module.scaler, module.layout) if n_bytes <= MOST_BYTES else dataset
