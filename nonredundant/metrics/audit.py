"""The audit: what fresh estimators still find shared between h and d.

Each method sees what the others may miss, so a report holds several; the notes of
`redundancy_report` say what each assumes and cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

from nonredundant.metrics import pairwise
from nonredundant.metrics import predictability as prediction
from nonredundant.metrics.inputs import check_pair, leading_components, normal_scores
from nonredundant.metrics.networks import cross_logits, donsker_varadhan, splits

#: Every method and the unit of its estimate.
METHODS = {
    "r2-ridge": "R²",
    "r2-forest": "R²",
    "r2-mlp": "R²",
    "r2-boosting": "R²",
    "discriminator-auc": "AUC",
    "discriminator-nats": "nats",
    "ksg": "nats",
    "dcor": "correlation",
    "hsic": "correlation",
}
#: What a report holds unless told otherwise: all but boosting, which costs most and sees what
#: the forest sees.
DEFAULT_METHODS = tuple(method for method in METHODS if method != "r2-boosting")
#: Refits on permuted rows for the methods that train a model each time.
N_REFITS = 10


@dataclass
class _Audit:
    """One pair of matrices, prepared once for all methods."""

    h: np.ndarray
    d: np.ndarray
    n_permutations: int
    cv: int
    seed: int

    @cached_property
    def folds(self) -> prediction.Folds:
        """Folds that all cross-validated methods share."""
        kfold = KFold(self.cv, shuffle=True, random_state=self.seed)
        return list(kfold.split(self.d))

    @cached_property
    def orders(self) -> list[np.ndarray]:
        """The rows as they are, then in random orders."""
        rng = np.random.default_rng(self.seed)
        n = len(self.h)
        return [np.arange(n), *(rng.permutation(n) for _ in range(self.n_permutations))]

    @cached_property
    def few_orders(self) -> list[np.ndarray]:
        """The orders for methods that refit a model on each."""
        return self.orders[: N_REFITS + 1]

    @cached_property
    def targets(self) -> np.ndarray:
        """Leading components of h that hold 99 % of its variance."""
        return leading_components(self.h, explained=0.99, at_most=32)

    def r2(self, method: str) -> np.ndarray:
        """Return the cross-validated R² of h from d, for each order."""
        total = float(np.sum((self.h - self.h.mean(axis=0)) ** 2))
        if method == "r2-ridge":
            return prediction.ridge_r2(self.targets, total, self.d, self.folds, self.orders)
        predictor = {
            "r2-forest": prediction.forest_predictor,
            "r2-boosting": prediction.boosting_predictor,
            "r2-mlp": prediction.perceptron_predictor,
        }[method](self.d, self.folds, self.seed)
        return prediction.refitted_r2(predictor, self.targets, total, self.few_orders)

    @cached_property
    def discriminator(self) -> np.ndarray:
        """Held-out AUC and nats of a fresh discriminator, for each order."""
        scale = np.sqrt(np.mean(self.targets**2))
        rows = []
        for order in self.few_orders:
            rng = np.random.default_rng(self.seed)
            parts = splits(self.folds, rng)
            logits = cross_logits(self.targets[order] / scale, self.d, parts, rng)
            rows.append(np.mean([_judge(one) for one in logits], axis=0))
        return np.array(rows)

    def values(self, method: str) -> np.ndarray:
        """Return the estimate, then its values on permuted rows."""
        if method.startswith("r2-"):
            return self.r2(method)
        if method.startswith("discriminator-"):
            return self.discriminator[:, int(method.endswith("nats"))]
        if method == "dcor":
            return pairwise.distance_correlations(self.h, self.d, self.orders)
        if method == "hsic":
            return pairwise.hsic_correlations(self.h, self.d, self.orders)
        first, second = (leading_components(x, at_most=4) for x in (self.h, self.d))
        return pairwise.ksg_informations(first, second, self.orders, k=5)


def _judge(logits: np.ndarray) -> tuple[float, float]:
    """Return AUC and Donsker–Varadhan nats of held-out logits of all pairs."""
    n = len(logits)
    same = np.eye(n, dtype=bool)
    true, other = logits[same].astype(float), logits[~same].astype(float)
    ranks = rankdata(np.concatenate([true, other]))[:n]
    auc = (ranks.sum() - n * (n + 1) / 2) / (n * len(other))
    return float(auc), donsker_varadhan(true, other)


def redundancy_report(
    h: Any,
    d: Any,
    *,
    methods: str | Sequence[str] = DEFAULT_METHODS,
    n_permutations: int = 200,
    cv: int = 5,
    random_state: Any = None,
) -> pd.DataFrame:
    """Report what fresh estimators find shared between h and d, against chance.

    Every estimate stands beside what the same method finds when h's rows are shuffled, which
    makes h and d independent and changes nothing else.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples, row by row, that the model which made d was not trained
        on. A vector is one column; of two frames the indices must agree.
    methods : str or sequence of str, default=DEFAULT_METHODS
        Names among `METHODS`; by default all but "r2-boosting".
    n_permutations : int, default=200
        Random orders of h's rows behind each null. Methods that train a model use the first
        `N_REFITS` of them. Below 2 there is no null, and its columns are NaN.
    cv : int, default=5
        Folds of the methods that predict ("r2-…", "discriminator-…").
    random_state : int, RandomState or None, default=None
        Seed of folds, permutations and fresh models.

    Returns
    -------
    DataFrame
        A row a method, in the order asked for: `estimate`, mean and 95 % point of its null
        (`null_mean`, `null_95`), one-sided `p_value` and `unit`. At independence an R² lies
        near or below 0, an AUC near 0.5, nats and correlations near 0; all can fall below.

    Raises
    ------
    ValueError
        If a method is unknown; `cv` is below 2 or `n_permutations` below 0; h and d differ in
        their number of rows or their index; there are fewer rows than 8 or two a fold; a value
        is not a number, NaN or infinite; or a side has no column that varies. A LesionTable
        with several lesions a sample has to be aggregated first.

    Warns
    -----
    UserWarning
        If some columns are constant; they are left out and named.

    See Also
    --------
    redundancy_score : One estimate without its null, much faster.
    nonredundant.displays.RedundancyDisplay : Draws reports.

    Notes
    -----
    *Assumed of all methods.* Rows are independent samples: several lesions of one patient are
    not, and shuffled rows then make too narrow a null. Columns are replaced by their normal
    scores (van der Waerden), so that neither scale nor skew nor outliers nor any other monotone
    map of a column matter; many equal values in a column blunt the scores.

    *What no method sees.* Dependence that n rows do not suffice for: a high p-value is no proof
    of independence. Nor what the training rows of the model would show: audit held-out rows.

    Each method assumes and overlooks something of its own:

    - ``"r2-ridge"``: cross-validated R² of h from d by ridge regression, its penalty chosen
      within the training rows. Sees linear (between normal scores: monotone) dependence alone;
      y = x² escapes it.
    - ``"r2-forest"``, ``"r2-boosting"``: the same by extremely randomised trees [1]_ or
      gradient-boosted trees [2]_. See any shape of a mean that follows one or few columns of d;
      weak on linear dependence spread thinly over many.
    - ``"r2-mlp"``: the same by a perceptron with a hidden layer and a linear path. Sees smooth
      shapes, interactions included; needs some hundred rows.
    - All R² are those of h as a whole, by the variance of its normal scores: the mean of h
      given d. What only moves the *spread* of h escapes them, and a single redundant column
      among 100 makes at most 0.01. They predict the principal components that hold 99 % of
      h's variance, at most 32; the rest counts as unexplained.
    - ``"discriminator-auc"``, ``"discriminator-nats"``: how well a freshly trained network
      tells held-out true pairs of rows from re-paired ones, as AUC and as the Donsker–Varadhan
      lower bound of the mutual information [3]_. Sees spread as well as mean. The bound is
      below the truth where the network has few rows to learn from, and hardly grows where
      d determines h. It reads the same components of h.
    - ``"ksg"``: nearest-neighbour mutual information [4]_, k = 5, of the four leading principal
      components of h and of d. Assumes continuous columns. Cannot see what lies in later
      components, and is biased to 0 for strong dependence in several dimensions.
    - ``"dcor"``: distance correlation of h and d as wholes, bias-corrected [5]_, with the sign
      of its square. Zero only at independence for many rows; with many noisy columns around
      it, nonlinear dependence of a few is diluted.
    - ``"hsic"``: Hilbert–Schmidt criterion [6]_, unbiased [7]_, Gaussian kernels of median
      bandwidth, normalised to 1 for equal kernels. As above; blind to structure that is much
      finer than the bandwidth.

    The p-value of "r2-ridge", "ksg", "dcor" and "hsic" is that of a permutation test [8]_, exact
    with any n and at least 1 / (1 + `n_permutations`). Where models are refitted, or 10 or fewer
    permutations asked for, the null is taken for Student's t around its mean: under
    independence such p-values are uniform for the AUC, and too large rather than too small
    for nats and R², whose nulls have a long lower tail. No correction is made for several methods.

    References
    ----------
    .. [1] Geurts, Ernst & Wehenkel 2006, doi 10.1007/s10994-006-6226-1.
    .. [2] Friedman 2001, doi 10.1214/aos/1013203451.
    .. [3] Belghazi et al. 2018, arXiv 1801.04062.
    .. [4] Kraskov, Stögbauer & Grassberger 2004, doi 10.1103/PhysRevE.69.066138.
    .. [5] Székely & Rizzo 2014, doi 10.1214/14-AOS1255.
    .. [6] Gretton et al. 2005, doi 10.1007/11564089_7.
    .. [7] Song et al. 2012, J. Mach. Learn. Res. 13, 1393.
    .. [8] Phipson & Smyth 2010, doi 10.2202/1544-6115.1585.

    Examples
    --------
    A squared feature is uncorrelated with the feature, and yet says all about its size:

    >>> import numpy as np
    >>> h = np.random.default_rng(0).normal(size=(100, 1))
    >>> report = redundancy_report(h, h**2, methods=["r2-ridge", "dcor"], random_state=0)
    >>> report["p_value"] < 0.05
    method
    r2-ridge    False
    dcor         True
    Name: p_value, dtype: bool
    """
    methods = [methods] if isinstance(methods, str) else list(methods)
    _check_settings(methods, n_permutations, cv)
    audit = _prepare(h, d, n_permutations, cv, random_state)
    rows = {method: (*_against_null(audit.values(method)), METHODS[method]) for method in methods}
    columns = ["estimate", "null_mean", "null_95", "p_value", "unit"]
    report = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    report.index.name = "method"
    return report


def redundancy_score(
    h: Any, d: Any, method: str, *, cv: int = 5, random_state: Any = None
) -> float:
    """Return one method's estimate of what h and d share, without its null.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples, row by row, that the model which made d was not trained
        on.
    method : str
        A name among `METHODS`.
    cv : int, default=5
        Folds of the methods that predict.
    random_state : int, RandomState or None, default=None
        Seed of folds and fresh models.

    Returns
    -------
    float
        The estimate, in the unit that `METHODS` names.

    Raises
    ------
    ValueError
        If the method is unknown, or for input that `redundancy_report` refuses.

    Warns
    -----
    UserWarning
        If some columns are constant; they are left out and named.

    See Also
    --------
    redundancy_report : The estimate against its null, and what each method assumes and cannot
        see.

    Notes
    -----
    It assumes what `redundancy_report` does and sees no more. It does not say what chance gives,
    which depends on n and on the method: compare scores of the same n only, and quote none as
    evidence of independence.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> h = rng.normal(size=(200, 3))
    >>> d = h + rng.normal(size=(200, 3))
    >>> 0.4 < redundancy_score(h, d, "r2-ridge", random_state=0) < 0.6  # the truth is 0.5
    True
    """
    _check_settings([method], 0, cv)
    return float(_prepare(h, d, 0, cv, random_state).values(method)[0])


def _check_settings(methods: Sequence[str], n_permutations: int, cv: int) -> None:
    """Raise unless the methods are known and the numbers make sense."""
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(
            f"no such methods: {', '.join(map(repr, unknown))}; known are {', '.join(METHODS)}"
        )
    for name, value, least in (("n_permutations", n_permutations, 0), ("cv", cv, 2)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _prepare(h: Any, d: Any, n_permutations: int, cv: int, random_state: Any) -> _Audit:
    """Return the checked and transformed pair with the seed of everything random."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    first, second = check_pair(h, d, cv)
    return _Audit(normal_scores(first), normal_scores(second), n_permutations, cv, seed)


def _against_null(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return the estimate, mean and 95 % point of its null, and the p-value."""
    estimate, null = float(values[0]), values[1:]
    if len(null) < 2:
        return estimate, np.nan, np.nan, np.nan
    mean = float(null.mean())
    if len(null) > N_REFITS:
        p = (1 + np.sum(null >= estimate - 1e-12)) / (1 + len(null))
        return estimate, mean, float(np.quantile(null, 0.95)), float(p)
    spread = null.std(ddof=1) * np.sqrt(1 + 1 / len(null))
    law = t(df=len(null) - 1, loc=mean, scale=spread)
    return estimate, mean, float(law.ppf(0.95)), float(law.sf(estimate))
