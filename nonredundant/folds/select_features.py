"""Selection of hand-crafted features as a step of a fold."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from nonredundant.folds.rankings import Chosen, boruta, correlation_groups, lasso, mrmr, univariate
from nonredundant.folds.selection import varying_columns
from nonredundant.folds.steps import sees_labels
from nonredundant.lesions.features import read_table
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.survival import check_survival, null_residuals
from nonredundant.utils.validation import HasMethods, Interval, StrOptions

#: Methods by name, and whether they need a target.
METHODS = {"mrmr": True, "univariate": True, "lasso": True, "correlation": False, "boruta": True}
#: Methods that rank all columns, and how many they choose by default.
_RANKING, _BY_DEFAULT = ("mrmr", "univariate"), 10


class SelectFeatures(  # type: ignore[call-arg]
    SelectorMixin, BaseEstimator, auto_wrap_output_keys=()
):
    """Select hand-crafted features on the training samples of a fold.

    A step for `compare_feature_sets(steps=[…])`: clinical columns and given embeddings stay. Of
    several lesions per sample the means are judged, and missing values are imputed by the median.
    What is not selected is not given to classifiers, but is known all the same: latents that
    repeat it are not taken for new.

    Parameters
    ----------
    method : str or selector, default="mrmr"
        - "mrmr": highest F statistic relative to the mean correlation with what is chosen already
          (Ding & Peng 2005);
        - "univariate": highest F statistic, without near copies (Spearman correlation above 0.9);
        - "lasso": coefficients above 0 at a penalty that cross-validation chooses;
        - "correlation": one column of each group of near copies; it sees no labels;
        - "boruta": more important to forests than permuted columns (Kursa & Rudnicki 2010);

        or any selector of scikit-learn, which is given imputed and standardised columns. F
        statistics and correlations are those of ranks.
    k : int or None, default=None
        The most columns. None: 10 for "mrmr" and "univariate", which rank all columns; no limit
        for the others, which choose a number themselves. Not for selectors of scikit-learn.
    random_state : int, RandomState or None, default=None
        Seed of "lasso" and "boruta".

    Attributes
    ----------
    columns_ : list of str
        The selected columns, by "mrmr", "univariate", "lasso" and "boruta" the best first.
    scores_ : dict of str to float
        What the method computes for each column that varies: the F statistic; the coefficient per
        standard deviation; the mean correlation with its group; the share of forests; of a
        selector of scikit-learn its `scores_`, else 1 for columns that are selected.
    selector_ : selector or None
        The fitted selector of scikit-learn.
    n_features_in_, feature_names_in_ : int, array of str
        The columns at `fit`.

    Notes
    -----
    The target may be classes, numbers, or times to an event as a structured array, whose
    martingale residuals are then predicted. "boruta" fits 20 forests, and in a comparison every
    method is fitted again in the inner splits that tune classifiers.

    References
    ----------
    Ding & Peng 2005, J. Bioinform. Comput. Biol. 3, 185; Kursa & Rudnicki 2010, J. Stat. Softw.
    36(11).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable, SelectFeatures
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 30)
    >>> uptake = y + rng.normal(size=60)
    >>> noise = rng.normal(size=60)
    >>> frame = pd.DataFrame({"uptake": uptake, "copy": 2 * uptake, "noise": noise})
    >>> table = LesionTable(frame)
    >>> step = SelectFeatures("mrmr", k=1).fit(table, y)
    >>> step.columns_
    ['uptake']
    >>> step.transform(table)
    LesionTable(60 samples, 60 lesions, 1 HCR, 0 clinical, no patches)
    """

    _parameter_constraints = {
        "method": [StrOptions(set(METHODS)), HasMethods(["fit", "get_support", "get_params"])],
        "k": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    selector_: Any

    def __init__(self, method: Any = "mrmr", *, k: int | None = None, random_state: Any = None):
        self.method = method
        self.k = k
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> SelectFeatures:
        """Select columns on training samples.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Training samples.
        y : array of shape (n_samples,), optional
            Classes, numbers, or times to an event; needed by all methods but "correlation".

        Returns
        -------
        self
            The fitted step.

        Raises
        ------
        ValueError
            If there is no hand-crafted column that varies, a target is needed and missing, `k` is
            given for a selector of scikit-learn, or this selects no column.
        """
        self._validate_params()  # type: ignore[attr-defined]
        if self.k is not None and not isinstance(self.method, str):
            raise ValueError(
                f"k={self.k} is for methods by name: set the number in {self.method!r} itself"
            )
        table = read_table(self, X, reset=True)
        target = self._target(y, len(table))
        self._candidates = list(table.hcr)
        columns = varying_columns(pool_samples(table, table.hcr))
        if not columns.shape[1]:
            raise ValueError(
                f"nothing to select: none of the {len(self._candidates)} hand-crafted columns "
                f"varies among the {len(table)} training samples"
            )
        positions, scores = self._choose(columns.to_numpy(dtype=float), target)
        names = list(columns.columns)
        self.columns_ = [names[position] for position in positions]
        self.scores_ = dict(
            zip(map(str, names), np.asarray(scores, dtype=float).tolist(), strict=True)
        )
        return self

    def transform(self, X: Any) -> Any:
        """Keep the selected columns, and those that are not hand-crafted.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Samples with the columns of `fit`.

        Returns
        -------
        LesionTable or array of shape (n_samples, n_selected)
            As X.

        Raises
        ------
        ValueError
            If the columns differ from those at `fit`.
        """
        check_is_fitted(self, "columns_")
        if not isinstance(X, LesionTable):
            return super().transform(X)
        table = read_table(self, X, reset=False)
        return table.replace(features=table.features.loc[:, self.get_support()])

    def _get_support_mask(self) -> np.ndarray:
        """Return which columns are kept."""
        check_is_fitted(self, "columns_")
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        dropped = set(self._candidates) - set(self.columns_)
        return np.array([name not in dropped for name in names], dtype=bool)

    def _choose(self, values: np.ndarray, y: Any) -> Chosen:
        """Return the positions of the chosen columns, and a score of each."""
        self.selector_ = None
        if not isinstance(self.method, str):
            return self._by_selector(values, y)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.method in _RANKING:
            rank = mrmr if self.method == "mrmr" else univariate
            return rank(values, y, _BY_DEFAULT if self.k is None else self.k)
        if self.method == "correlation":
            return correlation_groups(values, self.k)
        return (lasso if self.method == "lasso" else boruta)(values, y, self.k, seed)

    def _by_selector(self, values: np.ndarray, y: Any) -> Chosen:
        """Return what a selector of scikit-learn chooses of standardised columns."""
        self.selector_ = clone(self.method).fit(StandardScaler().fit_transform(values), y)
        support = self.selector_.get_support()
        if not support.any():
            raise ValueError(
                f"{self.method!r} selects none of the {len(support)} columns of "
                f"{len(values)} training samples: loosen it, or select a number of columns, for "
                "instance by SelectFeatures('univariate', k=10)"
            )
        scores = getattr(self.selector_, "scores_", None)
        return np.flatnonzero(support), support.astype(float) if scores is None else scores

    def _target(self, y: Any, n: int) -> np.ndarray | None:
        """Return classes as integers or numbers as floats; None if no target is needed."""
        if y is None and self._needs_target():
            raise ValueError(
                f"SelectFeatures(method={self.method!r}) requires y to be passed, but the target y "
                "is None: it selects by what columns tell of y; 'correlation' does not need it"
            )
        if y is None or not self._needs_target():
            return None
        if getattr(getattr(y, "dtype", None), "names", None):
            return null_residuals(*check_survival(y, n))
        y = column_or_1d(y, warn=True)
        check_consistent_length(y, np.empty(n))
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        # Numbers are floats even if all are whole; classes are text or integers.
        if kind == "continuous" or (y.dtype.kind == "f" and len(np.unique(y)) > 2):
            return y.astype(float)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y has one class, {classes.tolist()[0]!r}, in {n} training samples: there is "
                "nothing that columns could tell apart"
            )
        return codes

    def _needs_target(self) -> bool:
        """Return whether the method looks at a target."""
        if isinstance(self.method, str):
            return METHODS.get(self.method, True)
        return sees_labels(self.method)

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed, and whether the method sees labels."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._needs_target()
        tags.input_tags.allow_nan = True
        return tags
