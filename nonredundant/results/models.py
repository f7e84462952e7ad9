"""Given embeddings in the answer: how much of each is known, and what the other models add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.networks import Learned
from nonredundant.results.answer import Evidence, Finding
from nonredundant.statistics.multiplicity import holm

COLUMNS = [
    "embedding",
    "n_columns",
    "n_components",
    "share_of_variance",
    "share_explained",
    "lowest",
    "highest",
]


def embedding_table(learned: list[Learned]) -> pd.DataFrame:
    """Describe the components of each given embedding, and which share of them is known.

    Parameters
    ----------
    learned : list of Learned
        What was learned in all folds.

    Returns
    -------
    DataFrame
        `embedding, n_columns, n_components, share_of_variance, share_explained, lowest, highest`:
        means over the folds. The components have `share_of_variance` of the variance of the
        standardised columns that vary; `share_explained` of their variance is explained by known
        columns, of lesions that the regressions were not fitted to, between `lowest` and `highest`
        in the folds. NaN where no set with "-MI" needed the regressions.
    """
    rows: dict[str, list[tuple[float, ...]]] = {}
    shares: dict[str, list[float]] = {}
    for record in learned:
        name, network = record.variant.embedding, record.encoder.network
        if name and record.encoder.residualiser is not None:
            shares.setdefault(name, []).append(record.encoder.share_explained)
        elif name:
            size = len(network.columns_), network.n_components_
            rows.setdefault(name, []).append((*size, network.explained_variance_ratio_.sum()))
    found = []
    for name, own in rows.items():
        known = shares.get(name, [np.nan])
        summary = float(np.mean(known)), float(np.min(known)), float(np.max(known))
        found.append((name, *np.mean(own, axis=0), *summary))
    return pd.DataFrame(found, columns=COLUMNS)


def is_explained(embeddings: pd.DataFrame, block: str) -> Finding | None:
    """State how much of an embedding the known features explain.

    Parameters
    ----------
    embeddings : DataFrame
        What `embedding_table` returned.
    block : str
        Name of a learned block, such as "FMCIB-MI".

    Returns
    -------
    Finding or None
        "explained"; None if the block is of no embedding, or the share is not known.
    """
    own = embeddings[embeddings["embedding"] == block.removesuffix("-MI")]
    if own.empty or np.isnan(own["share_explained"].iloc[0]):
        return None
    row = own.iloc[0]
    share, low, high = (
        f"{100 * max(row[name], 0):.0f}" for name in ("share_explained", "lowest", "highest")
    )
    text = (
        f"The known features explain {share} % of the variance of {row['embedding']} ({low} to "
        f"{high} % in the folds, on samples left out of the regressions; its "
        f"{row['n_components']:.0f} components have {100 * row['share_of_variance']:.0f} % of the "
        f"variance of {row['n_columns']:,.0f} columns)."
    )
    return Finding("explained", text)


def corrected_for_models(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Correct the p-values of several models for their number, by Holm's method.

    Parameters
    ----------
    evidence : mapping of str to Evidence
        What speaks for each model beside the one that is reported first.

    Returns
    -------
    dict of str to Evidence
        The same with corrected p-values: over the models for the differences, and for each test of
        added information. Those that are corrected for more tests already are not changed.
    """
    found = {name: one for name, one in evidence.items() if not one.corrected}
    tests = _corrected({name: one.test for name, one in found.items()})
    information: dict[str, list[Any]] = {name: [] for name in found}
    methods = pd.unique(pd.concat([one.information["method"] for one in found.values()] or [_NONE]))
    for method in methods:
        own = {name: _of(one.information, method) for name, one in found.items()}
        for name, row in _corrected(own).items():
            information[name] += [] if row is None else [row]
    for name, one in found.items():
        rows = pd.DataFrame(information[name], columns=one.information.columns)
        found[name] = one._replace(test=tests[name], information=rows, corrected=True)
    return {**evidence, **found}


_NONE = pd.Series(dtype=object)


def _of(information: pd.DataFrame, method: str) -> pd.Series | None:
    """Return the row of a test; None if it was not made."""
    own = information[information["method"] == method]
    return None if own.empty else own.iloc[0]


def _corrected(rows: Mapping[str, pd.Series | None]) -> dict[str, pd.Series | None]:
    """Return the rows with p-values that are corrected for the number of those that have one."""
    known = {
        name: float(row["p_value"])
        for name, row in rows.items()
        if row is not None and not np.isnan(row["p_value"])
    }
    found = dict(rows)
    for name, p in zip(known, holm(np.array(list(known.values()))), strict=True):
        row = rows[name]
        found[name] = row if row is None else pd.Series({**row, "p_holm": p})
    return found
