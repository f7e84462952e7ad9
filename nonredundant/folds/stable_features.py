"""`StableFeatures`: the step that keeps hand-crafted features which repeats agree on."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.inspection.repeatability import BOUNDS, GOOD, agreement_table
from nonredundant.lesions.repeats import joined_repeats
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.intraclass import KINDS
from nonredundant.utils.validation import Interval, InvalidParameterError, StrOptions

_SHOWN = 5


class StableFeatures(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=()
):
    """Keep the hand-crafted features on which repeated measurements agree.

    Which these are is learned from the repeats of the training samples alone, joined by their
    labels; those of other samples are never looked at. Clinical columns and embeddings stay.

    Parameters
    ----------
    repeats : list of LesionTable or DataFrame
        Two or more measurements of at least the training samples, all of which count alike: such
        as `RadiomicsExtractor(…).perturb(cases)`, or `[table, retest]`. Their patches are not
        needed: an extractor with `patch_shape=None` measures them faster. None: a fitted step, to
        be saved without them.
    threshold : float, default=0.75
        What the intraclass correlation of a kept feature reaches.
    bound : {"lower", "estimate"}, default="lower"
        Whether the lower end of its 95 % interval or the estimate has to reach it.
    kind : {"ICC(1,1)", "ICC(3,1)"}, default="ICC(1,1)"
        Agreement, or consistency up to shifts of whole repeats, see
        `nonredundant.statistics.intraclass_correlation`.

    Attributes
    ----------
    columns_ : list of str
        The hand-crafted features that are kept.
    icc_ : DataFrame
        All of them: `column, icc, low, high, n_samples, n_repeats, stable`.

    See Also
    --------
    nonredundant.stability.repeat_stability : The agreement of latents, embeddings and scores, too.

    Notes
    -----
    Several lesions of a sample count by their mean, as classifiers see them. A sample that was not
    measured again needs rows of NaN in the repeats, so that none is forgotten unseen; it does not
    count. The repeats are raw: a step before this one may add columns, but one that changes values,
    such as a harmonisation, does not change theirs.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, StableFeatures
    >>> rng = np.random.default_rng(0)
    >>> truth = pd.DataFrame(rng.normal(size=(30, 2)), columns=["volume", "texture"])
    >>> readers = [truth + rng.normal(size=(30, 2)) * [0.1, 2] for _ in range(3)]
    >>> step = StableFeatures(readers)
    >>> step.fit_transform(LesionTable(readers[0])).columns.tolist()
    ['volume']
    """

    _parameter_constraints: dict[str, Any] = {
        "repeats": [list, tuple, None],
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "bound": [StrOptions(set(BOUNDS))],
        "kind": [StrOptions(set(KINDS))],
    }

    def __init__(
        self,
        repeats: Sequence[Any] | None,
        *,
        threshold: float = GOOD,
        bound: str = "lower",
        kind: str = "ICC(1,1)",
    ) -> None:
        self.repeats = repeats
        self.threshold = threshold
        self.bound = bound
        self.kind = kind

    def fit(self, X: LesionTable, y: Any = None) -> StableFeatures:
        """Learn from the repeats of the training samples which features are stable.

        Parameters
        ----------
        X : LesionTable
            Training samples; only their labels and the names of their features are read.
        y : ignored
            Ignored.

        Returns
        -------
        self
            The fitted step.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range.
        ValueError
            If a training sample or a feature is not among the repeats, or no feature is stable.
        """
        self._validate_params()
        if self.repeats is None:
            raise InvalidParameterError(
                "repeats=None is a step that was fitted before: give the repeats to fit it again"
            )
        hcr = X.columns_of("hcr")
        samples, _, values = joined_repeats(self.repeats, hcr)
        rows = samples.get_indexer(X.index)
        missing = X.index[rows < 0].tolist()
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(X)} training samples are not among the repeats: "
                f"{missing[:_SHOWN]}{', …' if len(missing) > _SHOWN else ''}; these have "
                f"{samples[:_SHOWN].tolist()}, …: measure the others again, or add rows of NaN"
            )
        found = agreement_table(hcr, values[rows], self.kind, self.threshold, self.bound)
        self._check_any(found)
        self.columns_ = found["column"][found["stable"]].tolist()
        self.candidates_ = list(hcr)
        # As arrays: a data frame is no part of a model file.
        self.values_ = found.drop(columns="column").to_numpy(dtype=float)
        return self

    @property
    def icc_(self) -> pd.DataFrame:
        """Intraclass correlations of all hand-crafted features at `fit`."""
        check_is_fitted(self)
        names = ["icc", "low", "high", "n_samples", "n_repeats", "stable"]
        table = pd.DataFrame(self.values_, columns=names)
        table = table.astype({"n_samples": int, "stable": bool})
        table.insert(0, "column", self.candidates_)
        return table

    def _check_any(self, found: pd.DataFrame) -> None:
        """Raise if no feature is stable."""
        if found["stable"].any():
            return
        if found["icc"].isna().all():
            raise ValueError(
                f"the agreement of none of the {len(found)} hand-crafted features can be computed: "
                "there are none that vary, or fewer than two training samples were measured again"
            )
        best = found.iloc[int(found["icc"].fillna(-np.inf).to_numpy().argmax())]
        needed = "the estimate" if self.bound == "estimate" else "the lower bound"
        raise ValueError(
            f"none of {len(found)} hand-crafted features is stable: {self.kind} of the best, "
            f"{best['column']}, is {best['icc']:.2f} ({best['low']:.2f} to {best['high']:.2f}) in "
            f"{int(best['n_samples'])} samples, and {needed} has to reach {self.threshold:g}; "
            "lower the threshold, set bound='estimate', or measure more samples again"
        )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Describe the step without the cases of its repeats."""
        if self.repeats is None:
            return super().__repr__(N_CHAR_MAX)
        params = {**self.get_params(deep=False), "repeats": len(self.repeats)}
        return BaseEstimator.__repr__(type(self)(**params), N_CHAR_MAX)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state; that of a fitted step has no repeats, which are patients' data."""
        state = dict(super().__getstate__())
        return {**state, "repeats": None} if "columns_" in state else state

    def transform(self, X: LesionTable) -> LesionTable:
        """Keep the stable hand-crafted features, and all other columns.

        Parameters
        ----------
        X : LesionTable
            The samples; they need no repeats.

        Returns
        -------
        LesionTable
            The lesions with these columns.

        Raises
        ------
        ValueError
            If a feature that is kept is missing.
        """
        check_is_fitted(self)
        missing = [name for name in self.columns_ if name not in X.blocks]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(self.columns_)} stable features are not in the table: "
                f"{missing[:_SHOWN]}; measure it by the settings of the training samples"
            )
        others = [name for name, block in X.blocks.items() if block != "hcr"]
        return X.replace(features=X.features[[*self.columns_, *others]])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """List the names of the features that are kept.

        Parameters
        ----------
        input_features : ignored
            Ignored.

        Returns
        -------
        array of str
            The names.
        """
        check_is_fitted(self)
        return np.asarray(self.columns_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Declare that tables are taken and no labels seen."""
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        return tags
