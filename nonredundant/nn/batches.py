"""Batches of lesions and of patients, without copies of the cohort."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from nonredundant.lesions.edges import LesionEdges, ranges
from nonredundant.nn.graph import GraphBatch
from nonredundant.nn.losses import Batch


class LesionDataset(Dataset):
    """Dataset of lesions that copies voxels only one batch at a time."""

    def __init__(
        self,
        x: np.ndarray,
        masks: np.ndarray | None,
        h: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        rows: np.ndarray,
        augment: Any = None,
    ) -> None:
        self.x, self.masks, self.h, self.y, self.weight = x, masks, h, y, weight
        self.rows, self.augment = rows, augment

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Return a whole batch with one indexing operation."""
        return self.plain(positions).augmented(self.augment)

    def plain(self, positions: Sequence[int]) -> Batch:
        """Return a batch that is not augmented."""
        rows = self.rows[np.asarray(positions)]
        x = torch.from_numpy(np.asarray(self.x[rows]))
        mask = None if self.masks is None else torch.from_numpy(np.asarray(self.masks[rows]))
        return Batch(x, mask, *self.known(positions))

    def known(self, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return conditions, labels and weights of a batch."""
        rows = self.rows[np.asarray(positions)]
        h, y, weight = (torch.from_numpy(part[rows]) for part in (self.h, self.y, self.weight))
        return h, y, weight


def as_is(batch: Any) -> Any:
    """Return the batch unchanged; the datasets already collate whole batches."""
    return batch


def balanced_batch_size(n_rows: int, batch_size: int) -> int:
    """Return the largest size up to `batch_size` that makes all batches about equal in size.

    The estimate of the independence term is too noisy on a small last batch.
    """
    return math.ceil(n_rows / math.ceil(n_rows / batch_size))


def batches(dataset: LesionDataset | PatientDataset, batch_size: int, device: str) -> Iterator[Any]:
    """Yield the dataset's batches in order, on the device."""
    for start in range(0, len(dataset), batch_size):
        stop = min(start + batch_size, len(dataset))
        yield dataset.__getitems__(range(start, stop)).to(device)


class PatientDataset(Dataset):
    """Dataset of patients that concatenates their lesions and edges by index arithmetic."""

    def __init__(
        self,
        nodes: np.ndarray,
        clinical: np.ndarray,
        sample: np.ndarray,
        edges: LesionEdges,
        label: np.ndarray,
        patients: np.ndarray,
    ) -> None:
        self.nodes, self.clinical, self.edges = nodes, clinical, edges
        self.label, self.patients = label, patients
        self.start = np.searchsorted(sample, np.arange(len(clinical) + 1))

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, position: int) -> GraphBatch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> GraphBatch:
        """Return a whole batch."""
        chosen = self.patients[np.asarray(positions)]
        rows, n_lesions = ranges(self.start[chosen], self.start[chosen + 1])
        links, n_links = ranges(self.edges.start[chosen], self.edges.start[chosen + 1])
        # Row in the table minus shift is row in the batch.
        shift = np.repeat(self.start[chosen] - (np.cumsum(n_lesions) - n_lesions), n_links)
        parts = (
            self.clinical[chosen],
            self.nodes[rows],
            np.repeat(np.arange(len(chosen)), n_lesions),
            self.edges.source[links] - shift,
            self.edges.target[links] - shift,
            self.edges.distance[links].astype(self.nodes.dtype),
            self.label[chosen],
        )
        return GraphBatch(*(torch.from_numpy(part) for part in parts))
