"""`StoredArray`: voxels of lesions that stay on the disk until rows of them are read."""

from __future__ import annotations

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.utils.optional import import_optional

#: Bytes of decoded chunks that a process keeps, of all stored arrays together.
CACHE_BYTES = 384 * 2**20
#: Bytes of voxels that a pass over all rows holds at a time.
_BLOCK_BYTES = 32 * 2**20
#: Open files that a process remembers.
_MOST_OPEN = 1024


class StoredArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Rows of voxels in the parts of a store, read when they are indexed.

    An index returns an ordinary array, `select` another stored array. Functions and methods of
    NumPy that are not listed here work too, and read all rows. Copies and pickles hold the paths
    of the files, not the voxels.

    Parameters
    ----------
    folder : path
        Folder of the parts.
    files : tuple of str
        The zarr array of each part, relative to the folder.
    part, row : int arrays of shape (n_rows,)
        Position in `files` of each row's array, and the row in it.
    item : tuple of int
        Shape of one row.
    dtype : dtype
        Type of the voxels.
    chunk : int
        Rows that are compressed, and so read, together.

    Attributes
    ----------
    shape : tuple of int
        (n_rows, *item).
    dtype : dtype
        Type of the voxels.
    """

    def __init__(
        self,
        folder: str | Path,
        files: tuple[str, ...],
        part: np.ndarray,
        row: np.ndarray,
        *,
        item: tuple[int, ...],
        dtype: Any,
        chunk: int,
    ) -> None:
        self.folder = str(folder)
        self.files = files
        self.part, self.row = np.asarray(part, np.int64), np.asarray(row, np.int64)
        self.item, self.chunk = tuple(item), chunk
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one."""
        return len(self.row), *self.item

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return 1 + len(self.item)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels in memory, once they are read."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> np.ndarray:
        """The chunk of each row: numbers from 0 that are the same for rows of one chunk."""
        number = self.row // self.chunk
        pairs = self.part * (int(number.max(initial=0)) + 1) + number
        return np.unique(pairs, return_inverse=True)[1].reshape(-1)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one whole chunk in memory."""
        return int(np.prod((self.chunk, *self.item))) * self.dtype.itemsize

    def load(self, rows: np.ndarray) -> None:
        """Read the chunks of some rows into the cache.

        Parameters
        ----------
        rows : int array
            The rows.
        """
        places = np.stack([self.part[rows], self.row[rows] // self.chunk], axis=1)
        for part, number in np.unique(places, axis=0).tolist():
            self._chunk(part, number)

    def select(self, rows: Any) -> StoredArray:
        """Return some rows as a stored array, without reading them.

        Parameters
        ----------
        rows : slice, int array or boolean mask
            The rows.

        Returns
        -------
        StoredArray
            The rows.
        """
        return StoredArray(
            self.folder,
            self.files,
            self.part[rows],
            self.row[rows],
            item=self.item,
            dtype=self.dtype,
            chunk=self.chunk,
        )

    def joined(self, others: list[StoredArray]) -> StoredArray:
        """Return the rows of this array and then those of others, without reading them.

        Parameters
        ----------
        others : list of StoredArray
            Arrays of the same rows' shape, type and chunks.

        Returns
        -------
        StoredArray
            All rows.
        """
        arrays = [self, *others]
        paths = [str(Path(one.folder, name)) for one in arrays for name in one.files]
        offsets = np.cumsum([0] + [len(one.files) for one in arrays[:-1]])
        part = [one.part + offset for one, offset in zip(arrays, offsets, strict=True)]
        row = np.concatenate([one.row for one in arrays])
        return StoredArray(
            "",
            tuple(paths),
            np.concatenate(part),
            row,
            item=self.item,
            dtype=self.dtype,
            chunk=self.chunk,
        )

    def is_like(self, other: Any) -> bool:
        """Check whether `other` can be joined to this array.

        Parameters
        ----------
        other : object
            The other array.

        Returns
        -------
        bool
            Whether it is a stored array whose rows have the same shape, type and chunks.
        """
        same = ("item", "dtype", "chunk")
        return isinstance(other, StoredArray) and all(
            getattr(self, name) == getattr(other, name) for name in same
        )

    def astype(self, dtype: Any, **options: Any) -> Any:
        """Return itself if the type is the same, else all rows converted to it."""
        return self if np.dtype(dtype) == self.dtype else np.asarray(self).astype(dtype, **options)

    def __contains__(self, value: Any) -> bool:
        return value in np.asarray(self)

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"StoredArray(shape={self.shape}, dtype={self.dtype}, folder={self.folder!r})"

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = key if isinstance(key, tuple) else (key,)
        keys = tuple(np.asarray(one) if isinstance(one, StoredArray) else one for one in parts)
        rows, rest = (keys[0], keys[1:]) if keys else (slice(None), ())
        if rows is Ellipsis or rows is None or _is_mask_of_voxels(rows):
            return np.asarray(self)[keys]
        if isinstance(rows, slice) or not any(np.ndim(one) for one in rest if one is not Ellipsis):
            return self._read_simply(rows, rest)
        # Each row is read once, then NumPy pairs the rows with the other indices.
        chosen = np.asarray(np.arange(len(self))[rows])
        found, places = np.unique(chosen, return_inverse=True)
        read = self._read(self.part[found], self.row[found])
        return read[(places.reshape(chosen.shape)[()], *rest)]

    def _read_simply(self, rows: Any, rest: tuple[Any, ...]) -> np.ndarray:
        """Read rows and then apply the other indices, where NumPy has nothing to pair."""
        part, row = self.part[rows], self.row[rows]
        if np.ndim(part) == 0:
            # A view of the cached chunk would let its caller change what others read.
            place = int(part), int(row) // self.chunk
            return self._chunk(*place)[int(row) % self.chunk].copy()[rest]
        read = self._read(part.reshape(-1), row.reshape(-1)).reshape(*part.shape, *self.item)
        return read[(*(slice(None),) * part.ndim, *rest)] if rest else read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("voxels of a store are always read into a copy")
        return self._read(self.part, self.row).astype(self.dtype if dtype is None else dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        read = [np.asarray(one) if isinstance(one, StoredArray) else one for one in inputs]
        return getattr(ufunc, method)(*read, **options)

    def __getattr__(self, name: str) -> Any:
        # Python calls this for attributes that the class does not define.
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"StoredArray has no attribute {name!r}")
        return getattr(np.asarray(self), name)

    def __getstate__(self) -> dict[str, Any]:
        """Return the paths of the files that hold the rows."""
        used, part = np.unique(self.part, return_inverse=True)
        files = tuple(self.files[i] for i in used)
        return {**vars(self), "files": files, "part": part.reshape(-1)}

    def _read(self, part: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Read rows, each chunk once."""
        read = np.empty((len(row), *self.item), dtype=self.dtype)
        order = np.lexsort((row, part))
        chunk = row[order] // self.chunk
        steps = np.flatnonzero(np.diff(part[order]) | np.diff(chunk)) + 1
        for rows in np.split(order, steps) if len(order) else ():
            found = self._chunk(int(part[rows[0]]), int(row[rows[0]]) // self.chunk)
            places = row[rows] % self.chunk
            if places.max() >= len(found):
                path = str(Path(self.folder, self.files[int(part[rows[0]])]))
                raise _damaged(path, f"it holds {len(found)} rows of a chunk of {self.chunk}")
            read[rows] = found[places]
        return read

    def _chunk(self, part: int, number: int) -> np.ndarray:
        """Return the rows of one chunk, from the cache or the disk."""
        path = os.path.join(self.folder, self.files[part])
        return _CACHE.get((path, number), lambda: self._load(path, number))

    def _load(self, path: str, number: int) -> np.ndarray:
        """Read the rows of one chunk from the disk."""
        try:
            array = _open(path)
            if (array.dtype, array.chunks) != (self.dtype, (self.chunk, *self.item)):
                raise ValueError(f"it holds {array.dtype} in chunks of the shape {array.chunks}")
            # zarr reads a missing file as zeros.
            key = array.metadata.encode_chunk_key((number, *(0,) * (array.ndim - 1)))
            if not Path(path, key).is_file():
                raise FileNotFoundError(f"the file {key} is missing")
            return array[number * self.chunk : (number + 1) * self.chunk]
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            # What a damaged zarr.json states may mean anything to zarr.
            raise _damaged(path, str(error)) from error


def _is_mask_of_voxels(index: Any) -> bool:
    """Return whether an index is a mask of more than rows."""
    return isinstance(index, np.ndarray) and index.ndim > 1 and index.dtype == bool


def _damaged(path: str, reason: str) -> ValueError:
    """Describe an array that cannot be read, and what to do."""
    reason = reason.strip().splitlines()[0] if reason.strip() else "it cannot be decoded"
    return ValueError(
        f"the voxels in {path} are missing or damaged ({reason}); restore the store, or delete "
        f"{Path(path).parent} and run `to_store` again, which measures only what is missing"
    )


@functools.lru_cache(maxsize=_MOST_OPEN)
def _open(path: str) -> Any:
    """Open a zarr array for reading."""
    zarr = import_optional("zarr", extra="store", purpose="reading a store of lesions")
    # Arrays of the earlier format may name pickle as their codec.
    return zarr.open_array(path, mode="r", zarr_format=3)


class _ChunkCache:
    """The chunks that were read last, up to a number of bytes."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int], load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return a chunk and make it the newest."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        loaded = load()
        with self._lock:
            if key not in self._found:
                self._found[key] = loaded
                self._bytes += loaded.nbytes
            while self._bytes > CACHE_BYTES and len(self._found) > 1:
                self._bytes -= self._found.popitem(last=False)[1].nbytes
        return loaded


_CACHE = _ChunkCache()


def row_blocks(array: Any) -> Iterator[np.ndarray]:
    """Read an array in blocks of rows.

    Parameters
    ----------
    array : array or StoredArray
        The array.

    Yields
    ------
    array
        Some rows.

    Examples
    --------
    >>> [block.shape for block in row_blocks(np.ones((3, 4)))]
    [(3, 4)]
    """
    return (array[rows] for rows in _blocks([array]))


def map_rows(function: Callable[..., np.ndarray], *arrays: Any) -> np.ndarray:
    """Apply a function to blocks of rows and join the results, so that not all are held at once.

    Parameters
    ----------
    function : callable
        Takes the same rows of each array and returns one value, or row of values, for each.
    *arrays : array or StoredArray
        Arrays of equal length; None is passed on as it is.

    Returns
    -------
    array
        The results of all rows.

    Examples
    --------
    >>> map_rows(lambda x: x.sum(axis=1), np.ones((3, 4))).tolist()
    [4.0, 4.0, 4.0]
    """
    blocks = _blocks([one for one in arrays if one is not None])
    return np.concatenate(
        [function(*(None if one is None else one[rows] for one in arrays)) for rows in blocks]
    )


def _blocks(arrays: list[Any]) -> list[slice]:
    """Return slices of rows of limited size, at least one."""
    n_rows = len(arrays[0])
    row_bytes = sum(one.nbytes for one in arrays) // max(1, n_rows)
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    return [slice(start, start + step) for start in range(0, max(1, n_rows), step)]
