"""Embeddings by pretrained networks, each of patches that are cropped as it was trained to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant.lesions.table import LesionTable

#: What is measured beside the patches of an encoder: the least that the settings allow.
_CHEAPEST = ("firstorder",)


def is_encoder(source: Any) -> bool:
    """Check whether the source of an embedding is an encoder, and no file, frame or columns."""
    return hasattr(source, "crop_shape")


def split_sources(embeddings: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the embeddings that are given, and the encoders that make others."""
    sources = dict(embeddings or {})
    encoders = {name: source for name, source in sources.items() if is_encoder(source)}
    return {name: sources[name] for name in sources if name not in encoders}, encoders


def add_encoded(
    table: LesionTable, encoders: Mapping[str, Any], extractor: Any, cases: pd.DataFrame
) -> tuple[LesionTable, dict[str, Any]]:
    """Run encoders over the lesions of a table and add what they return.

    Parameters
    ----------
    table : LesionTable
        The measured lesions.
    encoders : mapping of str to FrozenEncoder
        Encoders by the name of their embedding.
    extractor : RadiomicsExtractor
        What measured the table; its settings say what a lesion is.
    cases : DataFrame
        The case table.

    Returns
    -------
    table : LesionTable
        The table with a block for each encoder.
    fitted : dict of str to FrozenEncoder
        The encoders that made them.

    Raises
    ------
    ValueError
        If an encoder cannot see the patches, or returns no finite numbers.
    """
    fitted = {}
    for name, encoder in encoders.items():
        own = clone(encoder).set_params(name=name)
        crops = _crops(table, own, extractor, cases)
        found = own.fit(crops).transform(crops).embeddings[name]
        fitted[name] = own
        table = table.add_columns(found, name)
    return table, fitted


def _crops(table: LesionTable, encoder: Any, extractor: Any, cases: pd.DataFrame) -> LesionTable:
    """Return the patches that an encoder asks for, lesion by lesion those of the table."""
    n_dim = extractor.n_dim_ if table.patches is None else table.patches.ndim - 2
    shape, spacing = encoder.crop_shape(n_dim), encoder.patch_spacing
    own = None if extractor.patch_shape is None else tuple(extractor.patch_shape)[-n_dim:]
    if (own, extractor.patch_spacing) == (shape, spacing):
        return table
    settings = {
        "patch_shape": shape,
        "patch_spacing": spacing,
        # Small lesions stay in the table by their shape.
        "feature_classes": (*_CHEAPEST, *(["shape"] if extractor.small_lesions == "shape" else [])),
        "clinical": None,
        "embeddings": None,
    }
    if extractor.settings is None:
        settings["image_types"] = ("Original",)
    crops = clone(extractor).set_params(**settings).transform(cases)
    if not np.array_equal(crops.sample, table.sample):
        raise ValueError(
            "the lesions that an encoder sees are not those that are measured: set "
            "small_lesions='drop' and the same image types, or encode the patches of the table by "
            "FrozenEncoder as a step of the pipeline"
        )
    return crops
