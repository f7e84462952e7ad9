"""Load saved models, also from people who are not trusted: such a file cannot run code."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nonredundant.cli.compiled import check_compiled
from nonredundant.cli.trusted import TRUSTED, refused

#: Bytes of memory for a byte of JSON.
_JSON = 20


def load_model(path: Path) -> Any:
    """Load a saved model; a file that holds more than a list of classes is refused unread.

    Its cache is not used: joblib unpickles what lies there.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    FeatureSetClassifier
        The model.

    Raises
    ------
    ValueError
        If the file is not a model of this package and version, is damaged, or holds functions or
        classes that are not on the list.
    """
    from nonredundant.evaluation.classifier import FeatureSetClassifier

    if not path.is_file():
        raise ValueError(f"there is no model {path}; `nonredundant fit` makes one")
    with _readable(path):
        content = path.read_bytes()
    _check_unpacked_size(path, content)
    _check_trusted(path, content)
    with _readable(path):
        model = _built(content)
        for part in _parts(model):
            check_compiled(part)
            if hasattr(part, "memory"):
                part.memory = None
    if not isinstance(model, FeatureSetClassifier):
        raise ValueError(f"{path} contains a {type(model).__name__}, not a fitted model")
    if any(getattr(part, "embeddings", None) for part in _parts(model)):
        # A file from elsewhere must not say which other files are read.
        raise ValueError(
            f"{path} names embeddings that its extractor reads from files, which `nonredundant "
            "predict` does not: load it in Python with skops"
        )
    return model


def _check_trusted(path: Path, content: bytes) -> None:
    """Raise if a file holds functions, or classes that are not on the list."""
    with _readable(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        if not isinstance(schema, dict):
            raise ValueError("its schema is no object")
        odd = refused(schema)
    if odd:
        raise ValueError(
            f"{path} is refused, and nothing of it was run: it holds {', '.join(odd)}, which no "
            "model of this version of `nonredundant fit` does. A file of another version is to be "
            "fitted again; one from elsewhere may be meant to harm: delete it. Your own model with "
            "such a part is loaded in Python, by skops.io.load(file, trusted=[...]), if you trust "
            "what it names"
        )


def _built(content: bytes) -> Any:
    """Return what is in a file, after skops has checked it, too."""
    import skops.io

    return skops.io.loads(content, trusted=sorted(frozenset().union(*TRUSTED.values())))


def _parts(model: Any) -> Iterator[Any]:
    """Yield the estimators of which a model is made, also those in pipelines and forests."""
    from sklearn.base import BaseEstimator

    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, BaseEstimator):
            yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else ())
        elif hasattr(part, "__dict__") and not isinstance(part, type):
            waiting.extend(vars(part).values())


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the file if what is in it cannot be read.

    A changed byte may mean anything to the readers of zip, JSON and arrays, so any error may come.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ValueError(
            f"{path} cannot be read as a model: {reason}. It is damaged, of another version of "
            "nonredundant, or no file of `nonredundant fit`; copy it again, or fit it again with "
            "this version"
        ) from error


def _check_unpacked_size(path: Path, content: bytes) -> None:
    """Raise if a model needs more memory than a case may: small files can unpack to very much."""
    from nonredundant.extraction.memory import memory_limit

    with _readable(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
    # Objects made of JSON are many times as large as its text.
    need = sum(size * (_JSON if name.endswith(".json") else 1) for name, size in sizes.items())
    if need > memory_limit():
        raise ValueError(
            f"{path} ({len(content):,} bytes) unpacks to {need / 2**30:,.3g} GiB, more than "
            "half of the memory; it is damaged or no model of `nonredundant fit`"
        )
