"""A cohort that stays on the GPU, so that a step copies nothing to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nonredundant.nn.batches import LesionDataset
from nonredundant.nn.losses import Batch

#: Largest part of the free memory of the device that a cohort may take; training needs the rest.
SHARE = 0.5
#: Rows that are copied to it at a time.
CHUNK = 256


class ResidentLesions(Dataset):
    """The rows of a dataset of lesions on a device; batches are selected there.

    Parameters
    ----------
    dataset : LesionDataset
        The rows, in the memory of the computer.
    device : str
        Where they are kept.
    """

    def __init__(self, dataset: LesionDataset, device: str) -> None:
        self.augment = dataset.augment
        self.device = device
        rows, masks = dataset.rows, dataset.masks
        x, h, y, weight = (
            _moved(part, rows, device) for part in (dataset.x, dataset.h, dataset.y, dataset.weight)
        )
        mask = None if masks is None else _moved(masks, rows, device)
        self.cohort = Batch(x, mask, h, y, weight)

    def __len__(self) -> int:
        return len(self.cohort.x)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Return a batch by its positions."""
        return self.take(torch.as_tensor(positions, device=self.device))

    def take(self, rows: Tensor) -> Batch:
        """Return a batch by its positions, which are on the device."""
        return self.cohort.take(rows).augmented(self.augment)


def _moved(part: np.ndarray, rows: np.ndarray, device: str) -> Tensor:
    """Copy rows to a device, without a second copy of all of them in the computer's memory."""
    moved = torch.empty(
        (len(rows), *part.shape[1:]), dtype=torch.from_numpy(part[:0]).dtype, device=device
    )
    for start in range(0, len(rows), CHUNK):
        chunk = part[rows[start : start + CHUNK]]
        moved[start : start + CHUNK] = torch.from_numpy(np.asarray(chunk))
    return moved


def resident(dataset: LesionDataset, device: str) -> Any:
    """Return a dataset kept on the GPU if it fits there, else the dataset itself.

    Parameters
    ----------
    dataset : LesionDataset
        Rows in the memory of the computer, or in a store, which stays where it is.
    device : str
        Device of the training.

    Returns
    -------
    ResidentLesions or LesionDataset
        The same rows.
    """
    if torch.device(device).type != "cuda" or not isinstance(dataset.x, np.ndarray):
        return dataset
    arrays = (dataset.x, dataset.masks)
    row_bytes = sum(part[0].nbytes for part in arrays if part is not None)
    free, _ = torch.cuda.mem_get_info(device)
    return ResidentLesions(dataset, device) if row_bytes * len(dataset) <= SHARE * free else dataset
