"""Batches of lesions whose voxels are in a store, read by chunk, or on the GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from nonredundant.lesions import stored_array
from nonredundant.lesions.stored_array import StoredArray
from nonredundant.nn.resident import ResidentLesions

#: The first window of an epoch is this many times smaller than the largest.
_FIRST_WINDOW = 8


class LesionLoader(DataLoader):
    """Data loader that shuffles lesions of a store so that each chunk is read once per epoch.

    Lesions on the GPU are selected there. Other datasets, and stores that fit into the cache of
    decoded chunks, are shuffled as by torch's own loader.
    """

    def __init__(self, dataset: Any, *, shuffle: bool | None = None, **options: Any) -> None:
        if shuffle and "sampler" not in options:
            sampler = _window_sampler(dataset)
            if sampler is not None:
                shuffle, options = None, {**options, "sampler": sampler}
        super().__init__(dataset, shuffle=shuffle, **options)

    def __iter__(self) -> Any:
        if isinstance(self.dataset, ResidentLesions):
            return self._on_device(self.dataset)
        return super().__iter__()

    def _on_device(self, dataset: ResidentLesions) -> Iterator[Any]:
        """Yield batches in the order in which torch's loader would; one copy of it per epoch."""
        # Torch's loader draws a seed before its sampler does.
        torch.empty((), dtype=torch.int64).random_()
        batches: list[list[int]] = list(self.batch_sampler or ())
        order = torch.tensor([row for rows in batches for row in rows], device=dataset.device)
        for part in order.split([len(rows) for rows in batches]):
            yield dataset.take(part)


def _window_sampler(dataset: Any) -> WindowSampler | None:
    """Return the sampler of a dataset with stored voxels; None if its chunks fit into the cache."""
    parts = (getattr(dataset, "x", None), getattr(dataset, "masks", None))
    arrays = [one for one in parts if isinstance(one, StoredArray)]
    if not arrays:
        return None
    chunk_bytes = sum(one.chunk_bytes for one in arrays)
    chunks = arrays[0].select(dataset.rows).chunks
    if chunk_bytes * (int(chunks.max()) + 1) <= stored_array.CACHE_BYTES:
        return None
    # Half of the cache for the window that is used, half for the one that is read meanwhile.
    n_chunks = max(1, stored_array.CACHE_BYTES // (2 * chunk_bytes))
    return WindowSampler(chunks, n_chunks, arrays, dataset.rows)


class WindowSampler(Sampler):
    """Order in which chunks come at random, in windows whose rows are shuffled.

    A window is read in the background while the rows of the one before it are used.

    Parameters
    ----------
    chunks : int array of shape (n_rows,)
        The chunk of each row of the dataset, from 0.
    n_chunks : int
        Number of chunks of a window.
    arrays : sequence of StoredArray
        The arrays to read.
    rows : int array of shape (n_rows,)
        The row of the arrays of each row of the dataset.
    """

    def __init__(
        self, chunks: np.ndarray, n_chunks: int, arrays: Sequence[StoredArray], rows: np.ndarray
    ) -> None:
        self.order = np.argsort(chunks, kind="stable")
        self.start = np.searchsorted(chunks[self.order], np.arange(int(chunks.max()) + 2))
        self.n_chunks = n_chunks
        self.arrays, self.rows = arrays, rows
        #: Draws the order. Accelerate sets one that is the same in all processes; otherwise torch's
        #: global seed determines the order.
        self.generator: torch.Generator | None = None

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            # The sampler of torch draws its seed in the same way.
            generator = torch.Generator()
            generator.manual_seed(int(torch.empty((), dtype=torch.int64).random_().item()))
        shuffled = torch.randperm(len(self.start) - 1, generator=generator).numpy()
        windows = self._windows(shuffled)
        with ThreadPoolExecutor(max_workers=1) as pool:
            loading = pool.submit(self._load, windows[0])
            for i, window in enumerate(windows):
                # An error is raised where the rows are used.
                wait([loading])
                if i + 1 < len(windows):
                    loading = pool.submit(self._load, windows[i + 1])
                positions = self._positions(window)
                order = torch.randperm(len(positions), generator=generator).numpy()
                yield from positions[order].tolist()

    def _windows(self, chunks: np.ndarray) -> list[np.ndarray]:
        """Cut the shuffled chunks into windows, the first ones short: nothing is read before."""
        size = max(1, self.n_chunks // _FIRST_WINDOW)
        windows = []
        while len(chunks):
            windows.append(chunks[:size])
            chunks, size = chunks[size:], min(2 * size, self.n_chunks)
        return windows

    def _positions(self, window: np.ndarray) -> np.ndarray:
        """Return the rows of the dataset in some chunks."""
        return np.concatenate([self.order[self.start[i] : self.start[i + 1]] for i in window])

    def _load(self, window: np.ndarray) -> None:
        """Read the voxels of some chunks into the cache."""
        rows = self.rows[self._positions(window)]
        for array in self.arrays:
            array.load(rows)
