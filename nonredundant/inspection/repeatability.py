"""RepeatStability of features, latents, embeddings and scores when a measurement is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.displays.stability import StabilityDisplay
from nonredundant.lesions.images import parse_feature
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.repeats import joined_repeats
from nonredundant.lesions.table import LesionTable
from nonredundant.models.latents import latent_frame
from nonredundant.statistics.intraclass import intraclass_correlation

#: Koo & Li 2016 (doi 10.1016/j.jcm.2016.02.012): reliability of 0.75 and more is good.
GOOD = 0.75
#: Which number of an interval a threshold is compared with.
BOUNDS = {"lower": "low", "estimate": "icc"}


@dataclass(frozen=True, repr=False)
class RepeatStability:
    """Agreement of repeated measurements; made by `repeat_stability`.

    Attributes
    ----------
    table : DataFrame
        One row per column: `column, family, icc, low, high, n_samples, n_repeats, stable`. The
        family is the feature class of pyradiomics, "latent", "score" or the name of an
        embedding; `stable` says whether the bound reaches the threshold.
    kind : str
        "ICC(1,1)" or "ICC(3,1)".
    threshold : float
        What a column has to reach.
    bound : str
        "lower" or "estimate": what has to reach it.
    """

    table: pd.DataFrame
    kind: str
    threshold: float
    bound: str

    @property
    def share(self) -> float:
        """Share of columns that are stable."""
        return float(self.table["stable"].mean())

    def by_family(self) -> pd.DataFrame:
        """Summarise the families.

        Returns
        -------
        DataFrame
            `family, n, n_stable, median, lowest, highest` of the estimates, in the order of the
            table.
        """
        rows = []
        for family, own in self.table.groupby("family", sort=False):
            icc = own["icc"]
            rows.append(
                {
                    "family": family,
                    "n": len(own),
                    "n_stable": int(own["stable"].sum()),
                    "median": icc.median(),
                    "lowest": icc.min(),
                    "highest": icc.max(),
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        n = int(self.table["stable"].sum())
        what = "the lower bound" if self.bound == "lower" else "the estimate"
        return (
            f"RepeatStability({n} of {len(self.table)} columns: {what} of {self.kind} is "
            f"{self.threshold:g} or more)"
        )

    def _repr_html_(self) -> str:
        """Return the families for a notebook."""
        table = self.by_family().to_html(index=False, float_format="{:.2f}".format)
        return f"<p>{self!r}</p>\n{table}"

    def plot(self, **kwargs: Any) -> StabilityDisplay:
        """Draw the correlations by family.

        Parameters
        ----------
        **kwargs
            Passed to `StabilityDisplay.from_stability`.

        Returns
        -------
        StabilityDisplay
            The display, with `ax_` and `figure_`.
        """
        return StabilityDisplay.from_stability(self, **kwargs)


def repeat_stability(
    repeats: Sequence[Any],
    of: Any = None,
    *,
    kind: str = "ICC(1,1)",
    threshold: float = GOOD,
    bound: str = "lower",
    confidence: float = 0.95,
) -> RepeatStability:
    """Measure how well repeated measurements of the same samples agree.

    Parameters
    ----------
    repeats : sequence of LesionTable, DataFrame or array
        Two or more measurements, joined by the labels of samples: perturbed cases
        (`RadiomicsExtractor.perturb`), test and retest, or readers (`split_repeats`).
    of : estimator or callable, default=None
        What is measured of each repeat. None: its columns, without clinical ones. A fitted model
        with latents: these. A fitted classifier, survival model or pipeline: its score. A
        `FrozenEncoder`: its embedding. A function of the table: what it returns, one row per
        lesion or per sample.
    kind : {"ICC(1,1)", "ICC(3,1)"}, default="ICC(1,1)"
        Agreement, or consistency up to shifts of whole repeats, see
        `nonredundant.statistics.intraclass_correlation`.
    threshold : float, default=0.75
        What a stable column reaches.
    bound : {"lower", "estimate"}, default="lower"
        Whether the lower end of the interval or the estimate has to reach it.
    confidence : float, default=0.95
        Coverage of the intervals.

    Returns
    -------
    RepeatStability
        Correlations with intervals, per column and family.

    Raises
    ------
    ValueError
        If repeats do not fit together, or a parameter is out of range.

    Notes
    -----
    Of several lesions the mean over the lesions of a sample is measured: samples are independent,
    lesions are not. Where a lesion of one repeat has no feature, its latents and score in that
    repeat are missing. A score agrees on the patients on which the model was fitted as it does on
    others only if the repeats of these patients took no part in the fit.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(40, 2))
    >>> readers = [
    ...     pd.DataFrame(truth + rng.normal(size=(40, 2)) * [0.1, 2], columns=["volume", "texture"])
    ...     for _ in range(3)
    ... ]
    >>> found = repeat_stability(readers)
    >>> found.table.set_index("column")["stable"].to_dict()
    {'volume': True, 'texture': False}
    """
    check_rule(threshold, bound)
    measured = repeats if of is None else [_values(of, one) for one in repeats]
    _, columns, values = joined_repeats(measured)
    first = repeats[0]
    blocks = first.blocks if isinstance(first, LesionTable) and of is None else {}
    other = "latent" if hasattr(of, "transform") else "other"
    families = [family_of(name, blocks.get(name, other)) for name in columns]
    table = agreement_table(list(columns), values, kind, threshold, bound, confidence)
    table.insert(1, "family", families)
    return RepeatStability(table, kind, float(threshold), bound)


def check_rule(threshold: float, bound: str) -> None:
    """Raise if a threshold or a bound is out of range."""
    if bound not in BOUNDS:
        raise ValueError(f"bound must be one of {list(BOUNDS)}, got {bound!r}")
    if not -1 <= threshold <= 1:
        raise ValueError(f"threshold must lie between -1 and 1, got {threshold!r}")


def agreement_table(
    columns: Sequence[Any],
    values: np.ndarray,
    kind: str,
    threshold: float,
    bound: str,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return the intraclass correlation of each column, and whether it is stable.

    Parameters
    ----------
    columns : sequence of str
        Names.
    values : array of shape (n_samples, n_repeats, n_columns)
        The measurements.
    kind, threshold, bound, confidence
        As in `repeat_stability`.

    Returns
    -------
    DataFrame
        `column, icc, low, high, n_samples, n_repeats, stable`. What cannot be computed is not
        stable.
    """
    found = intraclass_correlation(values, kind, confidence=confidence)
    table = pd.DataFrame(
        {
            "column": list(columns),
            "icc": found.icc,
            "low": found.low,
            "high": found.high,
            "n_samples": found.n_subjects,
            "n_repeats": found.n_repeats,
        }
    )
    return table.assign(stable=table[BOUNDS[bound]] >= threshold)


def family_of(name: Any, block: str = "other") -> str:
    """Return the family of a column: its feature class, "score", its embedding or its block.

    Examples
    --------
    >>> family_of("original_glcm_Contrast"), family_of("FMCIB__12"), family_of("dlr00", "latent")
    ('glcm', 'FMCIB', 'latent')
    """
    parts = parse_feature(str(name))
    if parts is not None:
        return parts.feature_class
    if str(name).startswith("score"):
        return "score"
    embedding = str(name).rpartition("__")[0]
    return embedding or ("other" if block == "hcr" else block)


def _values(of: Any, table: Any) -> pd.DataFrame:
    """Return what a model makes of one repeat, one row per sample; NaN where it saw nothing."""
    found = _applied(of, table)
    if isinstance(found, LesionTable):
        found = next(iter(found.embeddings.values()))
    frame = pd.DataFrame(found)
    if not isinstance(table, LesionTable):
        return frame.set_axis(table.index, axis=0) if hasattr(table, "index") else frame
    hcr = table.hcr
    unseen = hcr.isna().all(axis=1).to_numpy() if hcr.shape[1] else np.zeros(table.n_lesions, bool)
    if len(frame) == table.n_lesions:
        frame = frame.astype(float)
        frame[unseen] = np.nan
        return pool_samples(table, frame.reset_index(drop=True))
    if len(frame) != len(table):
        raise ValueError(
            f"{of!r} returned {len(frame)} rows of {len(table)} samples with {table.n_lesions} "
            "lesions: a row per sample or per lesion is needed"
        )
    frame = frame.set_axis(table.index, axis=0).astype(float)
    frame[np.isin(np.arange(len(table)), table.sample[unseen])] = np.nan
    return frame


def _applied(of: Any, table: Any) -> Any:
    """Apply a model or function to a table."""
    if hasattr(of, "predict_proba") and len(getattr(of, "classes_", "two")):
        scores = np.asarray(of.predict_proba(table))
        if scores.shape[1] == 2:
            return pd.DataFrame({"score": scores[:, 1]})
        return pd.DataFrame(scores, columns=[f"score_{one}" for one in of.classes_])
    if hasattr(of, "predict"):
        return pd.DataFrame({"score": np.asarray(of.predict(table), dtype=float)})
    if hasattr(of, "crop_shape"):
        return of.transform(table)
    if hasattr(of, "transform"):
        return latent_frame(of, table)
    return of(table)
