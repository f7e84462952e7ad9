"""The audit: the dependence between h and d that newly trained estimators detect.

Each method detects what others may miss, so a report holds several; the notes of
`redundancy_report` list the assumptions and limitations of each. To add a method, write a
function of a `PreparedPair` and add one line to `AUDIT_METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.metrics import pairwise
from nonredundant.metrics import predictability as prediction
from nonredundant.metrics.inputs import leading_components
from nonredundant.metrics.nulls import (
    LEAST_SPREAD,
    compare_with_null,
    smallest_detectable,
)
from nonredundant.metrics.permutations import n_exchanges
from nonredundant.metrics.prepared import PreparedPair, prepare

#: Fewer distinct permutations of groups cannot give p below 0.05.
_LEAST_EXCHANGES = 20
#: The method that estimates the share of the latents' variance that h explains.
SHARE = "share-of-latents"
#: Columns of a report.
COLUMNS = ["estimate", "null_mean", "null_95", "p_value", "unit", "detectable", "detail"]


def _ridge_r2(pair: PreparedPair) -> np.ndarray:
    """Return the cross-validated R² of a ridge regression, for each order."""
    return prediction.ridge_r2(pair.targets, pair.total, pair.d, pair.folds, pair.orders)


def _refitted_r2(pair: PreparedPair, predictor: Callable[..., Any]) -> np.ndarray:
    """Return the cross-validated R² of a model that is refitted for each of the few orders."""
    predict = predictor(pair.d, pair.folds, pair.seed)
    return prediction.refitted_r2(predict, pair.targets, pair.total, pair.few_orders)


def _ksg(pair: PreparedPair) -> np.ndarray:
    """Return the nearest-neighbour mutual information of four components of each side."""
    first, second = (leading_components(x, at_most=4) for x in (pair.h, pair.d))
    return pairwise.ksg_informations(first, second, pair.orders, k=5)


def _best_latent(pair: PreparedPair) -> str:
    """Name the latent that h explains best."""
    return str(pair.names[1][int(pair.latents[0].argmax())])


@dataclass(frozen=True)
class Unit:
    """Unit of an audit method's estimate.

    Parameters
    ----------
    name : str
        Name in the column `unit` of a report.
    label : str
        Axis label.
    """

    name: str
    label: str


R2 = Unit("R²", "R² of hand-crafted features from latents")
LATENT_R2 = Unit("R² of a latent", "R² of the latent that h explains best")
D_SHARE = Unit("share", "share of the latents' variance that h explains")
AUC = Unit("AUC", "AUC of true against shuffled pairs")
NATS = Unit("nats", "mutual information (nats)")
CORRELATION = Unit("correlation", "dependence (0: none, 1: full)")


@dataclass(frozen=True)
class AuditMethod:
    """One method of the audit.

    Parameters
    ----------
    values : callable
        Function of a `PreparedPair` that returns the estimate, followed by its values on permuted
        rows.
    unit : Unit
        Unit of the estimate.
    label : str
        Name in figures and tables.
    by_default : bool, default=True
        Whether a report holds it unless methods are named.
    detail : callable or None, default=None
        Function of a `PreparedPair` that returns a text about the estimate.
    """

    values: Callable[[PreparedPair], np.ndarray]
    unit: Unit
    label: str
    by_default: bool = True
    detail: Callable[[PreparedPair], str] | None = None


#: All methods by name.
AUDIT_METHODS: dict[str, AuditMethod] = {
    "r2-ridge": AuditMethod(_ridge_r2, R2, "ridge"),
    "r2-forest": AuditMethod(
        partial(_refitted_r2, predictor=prediction.forest_predictor), R2, "forest"
    ),
    "r2-mlp": AuditMethod(
        partial(_refitted_r2, predictor=prediction.perceptron_predictor), R2, "perceptron"
    ),
    # Not by default: it is the most expensive one and detects what the forest detects.
    "r2-boosting": AuditMethod(
        partial(_refitted_r2, predictor=prediction.boosting_predictor),
        R2,
        "boosting",
        by_default=False,
    ),
    "discriminator-auc": AuditMethod(lambda pair: pair.discriminator[:, 0], AUC, "discriminator"),
    "discriminator-nats": AuditMethod(lambda pair: pair.discriminator[:, 1], NATS, "discriminator"),
    "ksg": AuditMethod(_ksg, NATS, "nearest neighbours (KSG)"),
    "dcor": AuditMethod(
        lambda pair: pairwise.distance_correlations(pair.h, pair.d, pair.orders),
        CORRELATION,
        "distance correlation",
    ),
    "hsic": AuditMethod(
        lambda pair: pairwise.hsic_correlations(pair.h, pair.d, pair.orders), CORRELATION, "HSIC"
    ),
    "largest-pair": AuditMethod(
        lambda pair: pair.largest.values,
        CORRELATION,
        "largest of all pairs",
        detail=lambda pair: pair.largest.pair,
    ),
    "largest-product": AuditMethod(
        lambda pair: pair.product.values,
        CORRELATION,
        "largest of all products",
        detail=lambda pair: pair.product.pair,
    ),
    "r2-of-latents": AuditMethod(
        lambda pair: pair.latents.max(axis=1),
        LATENT_R2,
        "ridge and kernel ridge",
        detail=_best_latent,
    ),
    SHARE: AuditMethod(lambda pair: pair.latents.mean(axis=1), D_SHARE, "share of all latents"),
}
#: Units by name, as in the column `unit` of a report.
UNITS = {method.unit.name: method.unit for method in AUDIT_METHODS.values()}
#: Unit of the estimate by the method's name.
METHODS = {name: method.unit.name for name, method in AUDIT_METHODS.items()}
#: Methods of a report unless others are named.
DEFAULT_METHODS = tuple(name for name, method in AUDIT_METHODS.items() if method.by_default)


def redundancy_report(
    h: Any,
    d: Any,
    *,
    methods: str | Sequence[str] = DEFAULT_METHODS,
    n_permutations: int = 200,
    cv: int = 5,
    groups: Any = None,
    random_state: Any = None,
) -> pd.DataFrame:
    """Report the dependence between h and d that newly trained estimators detect, beside chance.

    Each estimate is reported with its null: what the same method finds when the rows of h are
    permuted, which makes h and d independent and changes nothing else.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples in the same row order, held out from the training of the
        model that made d. A vector is one column. The indices of two data frames must agree.
    methods : str or sequence of str, default=DEFAULT_METHODS
        Names in `METHODS`; by default all but "r2-boosting".
    n_permutations : int, default=200
        Random permutations of the rows of h behind each null. Methods that train a model use
        the first `N_REFITS` of them. Below 2 there is no null, and its columns are NaN.
    cv : int, default=5
        Folds of the methods that predict ("r2-…", "discriminator-…").
    groups : array-like of shape (n,), optional
        Rows of one group, such as the lesions of a patient, are permuted together, in exchange
        for a group of the same size, and lie on one side of each fold. A group whose size no
        other has stays where it is.
    random_state : int, RandomState or None, default=None
        Seed of folds, permutations and models.

    Returns
    -------
    DataFrame
        One row per method, in the requested order: `estimate`, mean and 95 % point of its null
        (`null_mean`, `null_95`), one-sided `p_value`, `unit`, and the smallest expected estimate
        that this many rows show with about 80 % power (`detectable`: `null_95` plus a multiple of
        the null's standard deviation that was simulated for each method; NaN for
        "discriminator-nats" and "r2-boosting"). `detail` names the pair of "largest-pair",
        the product of "largest-product" and the latent of "r2-of-latents", or says why there is no
        null. At independence an R² is near or below 0 (those of latents a little above), an AUC
        near 0.5, nats and correlations near 0; all of them can be lower.

    Raises
    ------
    ValueError
        If a method is unknown; `cv` is below 2 or `n_permutations` below 0; h and d differ in
        their number of rows or their index; there are fewer than 8 rows or fewer than two per
        fold; a value is not numeric, NaN or infinite; or h or d has no column that varies. A
        LesionTable with several lesions per sample has to be aggregated first.

    Warns
    -----
    UserWarning
        If some columns are constant; they are dropped, and the warning names them.

    See Also
    --------
    redundancy_score : One estimate without its null, much faster.
    nonredundant.displays.RedundancyDisplay : Draws reports.

    Notes
    -----
    *Assumptions of all methods.* Rows are independent samples, or groups of them are: name several
    lesions of one patient in `groups`, because permuting them singly gives too narrow a null.
    Columns are replaced by their
    normal scores (van der Waerden), so that scale, skew, outliers and any other monotone
    transformation of a column do not matter; many ties in a column make the scores coarse.

    *What no method detects.* Dependence too weak for n rows: a high p-value is no proof of
    independence. Nor overfitting of the model: audit held-out rows, not its training rows.

    Each method has its own assumptions and limitations:

    - ``"r2-ridge"``: cross-validated R² of h from d by ridge regression, its penalty chosen
      within the training rows. Detects linear dependence only (monotone dependence, as
      columns are normal scores), not y = x².
    - ``"r2-forest"``, ``"r2-boosting"``: the same by extremely randomised trees [1]_ or
      gradient-boosted trees [2]_. Detect a conditional mean of any shape that depends on one or
      a few columns of d; weak for linear dependence spread over many columns.
    - ``"r2-mlp"``: the same by a perceptron with a hidden layer and a linear path. Detects smooth
      relations including interactions; needs a few hundred rows.
    - Every R² is that of h as a whole, weighted by the variance of its normal scores. It measures
      the mean of h given d: dependence of the *spread* of h alone is not detected, and a single
      redundant column among 100 contributes at most 0.01. The targets are the principal
      components that hold 99 % of the variance of h, at most 32; the rest counts as unexplained.
    - ``"discriminator-auc"``, ``"discriminator-nats"``: how well a newly trained network
      discriminates held-out true pairs of rows from re-paired ones, as AUC and as the
      Donsker–Varadhan lower bound of the mutual information [3]_. Detects dependence of spread
      and mean. The bound is too low if the network has few training rows, and hardly increases
      where d determines h. It uses the same components of h.
    - ``"ksg"``: nearest-neighbour mutual information [4]_, k = 5, of the four leading principal
      components of h and of d. Assumes continuous columns. Does not detect dependence in later
      components, and is biased towards 0 for strong dependence in several dimensions.
    - ``"dcor"``: distance correlation of all of h and all of d, bias-corrected [5]_, with the sign
      of its square. Zero only at independence for many rows; nonlinear dependence of a few columns
      is diluted by many noisy ones.
    - ``"hsic"``: Hilbert–Schmidt criterion [6]_, unbiased [7]_, Gaussian kernels of median
      bandwidth, normalised to 1 for equal kernels. As for "dcor"; insensitive to structure that is
      much finer than the bandwidth.
    - ``"largest-pair"``: over all pairs of a column of h and a column of d, the largest absolute
      rank correlation of the columns or their squares, or distance correlation of their ranks
      (its cosine series up to the fourth term). Detects one
      latent among many that copies one feature, its square, or whose spread follows it, which
      the methods of whole blocks dilute. The maximum is compared with the maxima of permuted
      rows, so that the number of pairs is accounted for. Does not detect dependence that
      is spread over many pairs, nor interactions of several columns of h.
    - ``"largest-product"``: over all products of two columns of h and all columns of d, the largest
      absolute correlation, compared with the maxima of permuted rows. Detects an interaction of
      two columns, such as a latent that is 1 where both are high or both are low, which
      regressions on many columns do not learn. Of more than 200 columns of h, 200 that span
      the others as well as any (by a pivoted decomposition) stand for all.
    - ``"r2-of-latents"``: the other direction: R² of each latent given all of h, rows left out one
      by one (or group by group), by ridge and Gaussian kernel ridge regressions of several
      penalties that are combined by non-negative weights [9]_; the largest of all latents. Detects
      one latent that is a sum of many features, or a product of two. Does not detect dependence of
      the spread, nor steep functions of a few among many columns. Memory grows with n².
    - ``"share-of-latents"``: the mean of these R² instead of the largest: the share of the
      variance of d, with its columns of equal weight, that h explains.

    The p-value of "r2-ridge", "ksg", "dcor", "hsic", "largest-pair", "largest-product" and
    of latents is that of a permutation test [8]_, exact for any n and at least
    1 / (1 + `n_permutations`). Where models are refitted, or for 10 or fewer permutations, the
    null is approximated by Student's t around its mean: at independence such p-values are uniform
    for the AUC, and conservative for nats and R², whose nulls have a long lower tail. P-values are
    not corrected for the number of methods.

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
    .. [9] Breiman 1996, doi 10.1007/BF00117832.

    Examples
    --------
    A squared feature is uncorrelated with the feature, but determined by it:

    >>> import numpy as np
    >>> h = np.random.default_rng(0).normal(size=(100, 1))
    >>> report = redundancy_report(h, h**2, methods=["r2-ridge", "dcor"], random_state=0)
    >>> report["p_value"] < 0.05
    method
    r2-ridge    False
    dcor         True
    Name: p_value, dtype: bool
    """
    return audit_with_null(
        h,
        d,
        methods=methods,
        n_permutations=n_permutations,
        cv=cv,
        groups=groups,
        random_state=random_state,
    )[0]


def audit_with_null(
    h: Any,
    d: Any,
    *,
    methods: str | Sequence[str] = DEFAULT_METHODS,
    n_permutations: int = 200,
    cv: int = 5,
    groups: Any = None,
    random_state: Any = None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the report of `redundancy_report`, and what each method found on permuted rows.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        As for `redundancy_report`, like all other parameters.
    methods : str or sequence of str, default=DEFAULT_METHODS
        Names in `METHODS`.
    n_permutations : int, default=200
        Random permutations behind each null.
    cv : int, default=5
        Folds of the methods that predict.
    groups : array-like of shape (n,), optional
        Rows that are permuted together.
    random_state : int, RandomState or None, default=None
        Seed of folds, permutations and models.

    Returns
    -------
    report : DataFrame
        As `redundancy_report`.
    null : dict of str to array
        Estimates on permuted rows by method, for `pool_redundancy`.

    Raises
    ------
    ValueError
        As `redundancy_report`.

    Examples
    --------
    >>> import numpy as np
    >>> h, d = np.random.default_rng(0).normal(size=(2, 40, 2))
    >>> report, null = audit_with_null(h, d, methods="dcor", n_permutations=30, random_state=0)
    >>> null["dcor"].shape
    (30,)
    """
    methods = [methods] if isinstance(methods, str) else list(methods)
    _check_settings(methods, n_permutations, cv)
    pair = prepare(h, d, n_permutations, cv, random_state, groups)
    movable = n_exchanges(pair.groups) >= _LEAST_EXCHANGES
    rows, nulls = {}, {}
    for name in methods:
        method = AUDIT_METHODS[name]
        values = method.values(pair)
        detail = method.detail(pair) if method.detail else ""
        nulls[name] = values[1:] if movable else values[:0]
        if not movable:
            detail = "no null: too few groups of equal size can be exchanged"
        rows[name] = _row(name, float(values[0]), nulls[name], detail)
    report = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    report.index.name = "method"
    return report, nulls


def pool_redundancy(
    parts: Sequence[tuple[pd.DataFrame, dict[str, np.ndarray]]],
) -> pd.DataFrame:
    """Pool audits of disjoint rows, such as held-out folds, into one.

    The estimates are averaged, and so are those on permuted rows, permutation by permutation:
    many small audits together see what none of them sees alone. Parts without a null are left
    out where others have one.

    Parameters
    ----------
    parts : sequence of (report, null)
        From `audit_with_null`, with the same methods.

    Returns
    -------
    DataFrame
        Columns as of `redundancy_report`; `detail` is that of the part with the largest estimate.

    Raises
    ------
    ValueError
        If there is no part.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> parts = []
    >>> for _ in range(3):
    ...     h = rng.normal(size=(30, 2))
    ...     d = h + rng.normal(size=(30, 2))
    ...     parts.append(audit_with_null(h, d, methods="dcor", n_permutations=50, random_state=0))
    >>> bool(pool_redundancy(parts).loc["dcor", "p_value"] < 0.05)
    True
    """
    if not parts:
        raise ValueError("there is no audit to pool")
    rows = {}
    for name in parts[0][0].index:
        tested = [part for part in parts if len(part[1][name]) > 1] or parts
        own = [report.loc[name] for report, _ in tested]
        estimates = np.array([row["estimate"] for row in own])
        draws = min(len(null[name]) for _, null in tested)
        null = np.mean([null[name][:draws] for _, null in tested], axis=0)
        largest = own[int(estimates.argmax())]
        detail = str(largest["detail"])
        if name == "largest-pair" and len(tested) > 1 and detail:
            detail = f"in one part, {detail}"
        rows[name] = _row(name, float(estimates.mean()), null, detail)
    report = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    report.index.name = "method"
    return report


def redundancy_score(
    h: Any, d: Any, method: str, *, cv: int = 5, groups: Any = None, random_state: Any = None
) -> float:
    """Return the estimate of one audit method, without its null.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples in the same row order, held out from the training of the
        model that made d.
    method : str
        A name in `METHODS`.
    cv : int, default=5
        Folds of the methods that predict ("r2-…", "discriminator-…").
    groups : array-like of shape (n,), optional
        Rows of one group lie on one side of each fold.
    random_state : int, RandomState or None, default=None
        Seed of folds and models.

    Returns
    -------
    float
        The estimate, in the unit given by `METHODS`.

    Raises
    ------
    ValueError
        If the method is unknown, or for input that `redundancy_report` rejects.

    Warns
    -----
    UserWarning
        If some columns are constant; they are dropped, and the warning names them.

    See Also
    --------
    redundancy_report : The estimate with its null, and the assumptions and limitations of each
        method.

    Notes
    -----
    Assumptions and limitations are those of `redundancy_report`. The value at independence depends
    on n and on the method and is not estimated here: compare only scores of the same n, and do
    not cite a score alone as evidence of independence.

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
    pair = prepare(h, d, 0, cv, random_state, groups)
    return float(AUDIT_METHODS[method].values(pair)[0])


def _check_settings(methods: Sequence[str], n_permutations: int, cv: int) -> None:
    """Check the methods and the numbers."""
    unknown = [method for method in methods if method not in AUDIT_METHODS]
    if unknown:
        raise ValueError(
            f"unknown audit methods: {', '.join(map(repr, unknown))}; known are "
            f"{', '.join(AUDIT_METHODS)}"
        )
    for name, value, least in (("n_permutations", n_permutations, 0), ("cv", cv, 2)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _row(
    name: str, estimate: float, null: np.ndarray, detail: str
) -> tuple[float, float, float, float, str, float, str]:
    """Return the columns of a report."""
    if len(null) > 1 and not np.ptp(null) > LEAST_SPREAD:
        # Columns may have so few values that every permutation gives the same estimate.
        null, detail = null[:0], "no null: permuted rows all give the same estimate"
    found = compare_with_null(estimate, null)
    unit, detectable = AUDIT_METHODS[name].unit.name, smallest_detectable(name, found)
    return estimate, found.mean, found.top, found.p_value, unit, detectable, detail
