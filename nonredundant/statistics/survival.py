"""Censored outcomes: input checks, baseline hazard, concordance and its paired comparison.

scikit-survival has `concordance_index_censored`, but is under GPL-3, which a package under a
permissive licence cannot require; it is an optional extra and the reference in the tests. It has
no paired comparison.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant.statistics.estimates import Difference, t_difference

#: Largest number of pairs of patients that are compared at once, to bound the memory.
MOST_PAIRS = 4_000_000
_WANTED = (
    "y must be a structured array with a boolean field (True if the event was observed, False if "
    "the patient was censored) and a float field (the time), as made by "
    "sksurv.util.Surv.from_arrays, or a DataFrame with two such columns"
)


def check_survival(y: Any, n_samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Check a censored outcome and return its events and times.

    Parameters
    ----------
    y : structured array or DataFrame of shape (n_samples,)
        One boolean and one positive numeric field or column, of any name.
    n_samples : int or None, default=None
        Expected number of patients.

    Returns
    -------
    event : bool array of shape (n_samples,)
        True if the event was observed.
    time : float array of shape (n_samples,)
        Times to the event or to censoring.

    Raises
    ------
    ValueError
        If y has another form or length, a time is missing, infinite or not positive, or no patient
        had the event.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([(True, 3.0), (False, 5.5)], dtype=[("relapse", bool), ("months", float)])
    >>> check_survival(y)
    (array([ True, False]), array([3. , 5.5]))
    """
    event, time = _fields(y)
    n = len(time)
    if n_samples is not None and n != n_samples:
        raise ValueError(f"y has {n} times but there are {n_samples} patients")
    bad = np.flatnonzero(~(np.isfinite(time) & (time > 0)))
    if len(bad):
        raise ValueError(
            f"times must be positive numbers, but {len(bad)} of {n} are not: the first is "
            f"{time[bad[0]]:g} in row {bad[0]}; correct or drop these patients"
        )
    if not event.any():
        raise ValueError(
            f"none of the {n} patients had the event, all are censored; a model of times cannot be "
            "fitted or evaluated without events"
        )
    return event, time


def _fields(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the boolean and the numeric column."""
    columns = _columns(y)
    # Events first. For pandas booleans are numbers too.
    ordered = sorted(columns.values(), key=lambda column: not pd.api.types.is_bool_dtype(column))
    are_bool = [pd.api.types.is_bool_dtype(column) for column in ordered]
    if are_bool != [True, False] or not pd.api.types.is_numeric_dtype(ordered[1]):
        types = ", ".join(f"{name!r} ({column.dtype})" for name, column in columns.items())
        # Times have more values than events.
        coded = min(columns.values(), key=lambda column: column.nunique(), default=pd.Series())
        raise ValueError(f"{_WANTED}; got {types}. {_coding(coded)}")
    event, time = ordered
    if event.isna().any():
        raise ValueError(f"{event.isna().sum()} of {len(event)} events are missing")
    return event.to_numpy(dtype=bool), time.to_numpy(dtype=np.float64, na_value=np.nan)


def _columns(y: Any) -> dict[str, pd.Series]:
    """Return the columns of a data frame or of a structured array by name."""
    if isinstance(y, pd.DataFrame):
        return {str(name): y.iloc[:, i] for i, name in enumerate(y)}
    if isinstance(y, np.ndarray) and y.dtype.names and y.ndim == 1:
        return {name: pd.Series(y[name]) for name in y.dtype.names}
    given = type(y).__name__
    if isinstance(y, np.ndarray):
        given = f"an array of {y.dtype} of shape {y.shape}"
    raise ValueError(f"{_WANTED}; got {given}")


def _coding(values: pd.Series) -> str:
    """Say how events that are coded in another way become booleans."""
    codes = values.dropna().unique().tolist()
    if set(codes) <= {0, 1}:
        return "Convert events coded 0 and 1 by astype(bool)"
    if set(codes) == {1, 2}:
        return (
            "The events are coded 1 and 2, of which 2 is commonly the event: convert them by "
            "`== 2`, as astype(bool) would make all of them events"
        )
    return (
        f"Convert events to True where the event was observed, and False elsewhere; the column "
        f"with the fewest values has {len(codes)}, such as {codes[:5]}"
    )


def describe_uncensored(event: np.ndarray) -> str:
    """Say that every patient had the event, which is rare and may be a fault of the coding.

    Examples
    --------
    >>> describe_uncensored(np.array([True, False]))
    ''
    """
    if not event.all():
        return ""
    return (
        f"all {len(event)} patients had the event and nobody is censored; if events were coded 1 "
        "and 2, astype(bool) has made all of them events: convert them by `== 2`"
    )


def check_classes(y: Any, instead: str) -> None:
    """Raise if y holds times to an event, where classes are needed.

    Parameters
    ----------
    y : array-like
        The labels.
    instead : str
        What takes times, for the message.

    Raises
    ------
    ValueError
        If y is a structured array, or a data frame of two columns.

    Examples
    --------
    >>> check_classes([0, 1], "nothing")
    """
    names = getattr(getattr(y, "dtype", None), "names", None)
    if isinstance(y, pd.DataFrame) and y.shape[1] == 2:
        names = y.columns.tolist()
    if names:
        raise ValueError(
            f"y has the fields {list(names)}, as events and their times have, and one label per "
            f"sample is needed, a class: {instead}"
        )


def baseline_hazard(
    event: np.ndarray, time: np.ndarray, risk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the cumulative baseline hazard at each distinct time (Breslow 1972).

    At an event time the hazard increases by the number of events divided by the sum of exp(`risk`)
    over the patients at risk. With `risk` zero it is the Nelson–Aalen estimate.

    Examples
    --------
    >>> import numpy as np
    >>> event, time = np.array([True, False, True]), np.array([1.0, 2.0, 3.0])
    >>> baseline_hazard(event, time, np.zeros(3))[1].round(3).tolist()
    [0.333, 0.333, 1.333]
    """
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event, minlength=len(times))
    hazard = np.bincount(place, np.exp(risk), minlength=len(times))
    under_observation = np.cumsum(hazard[::-1])[::-1]
    return times, np.cumsum(events / under_observation)


def null_residuals(event: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the martingale residuals of the model without covariates.

    Observed minus expected events by the Nelson–Aalen estimate: large for patients with an early
    event. Their plot against a covariate shows its effect (Therneau, Grambsch & Fleming 1990,
    doi 10.1093/biomet/77.1.147).

    Examples
    --------
    >>> import numpy as np
    >>> event, time = np.array([True, False, True]), np.array([1.0, 2.0, 3.0])
    >>> null_residuals(event, time).round(3).tolist()
    [0.667, -0.333, -0.333]
    """
    times, cumulative = baseline_hazard(event, time, np.zeros(len(time)))
    return event - cumulative[np.searchsorted(times, time)]


def concordance_index(event: Any, time: Any, risk: Any) -> float:
    """Compute Harrell's concordance index.

    Among the comparable pairs (those in which it is known which patient had the event first), the
    share in which that patient has the higher risk; equal risks count one half (Harrell et al.
    1982, doi 10.1001/jama.1982.03320430047030). A patient censored at a time counts as later than
    an event at that time; two events at the same time are not comparable.

    Parameters
    ----------
    event : bool array of shape (n,)
        True if the event was observed, False if the patient was censored.
    time : array of shape (n,)
        Time to the event or to censoring.
    risk : array of shape (n,)
        Higher for patients expected to have the event earlier.

    Returns
    -------
    float
        The index: 0.5 by chance, 1 if all pairs are concordant.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, events are not booleans, or no pair is comparable.

    Notes
    -----
    With heavy censoring the index depends on the censoring times: compare it only between risks of
    the same patients.

    Examples
    --------
    >>> concordance_index([True, True, False], [2.0, 5.0, 9.0], [3.0, 1.0, 2.0])
    0.6666666666666666
    """
    seen, times, risks = _check_risks(event, time, risk)
    pairs, good = _pairs(seen, times, risks)
    return float(good[0].sum() / pairs.sum())


def compare_concordance(event: Any, time: Any, a: Any, b: Any) -> Difference:
    """Test the difference of the concordance of two risks on the same patients, C(a) − C(b).

    The indices are ratios of U-statistics. Their correlated difference is compared as in Kang et
    al. 2015 (doi 10.1002/sim.6370), with its variance by the jackknife over patients (Arvesen
    1969, doi 10.1214/aoms/1177697287). The jackknife has a closed form: leaving out a patient
    removes exactly the pairs of that patient.

    Parameters
    ----------
    event : bool array of shape (n,)
        True if the event was observed, False if the patient was censored.
    time : array of shape (n,)
        Time to the event or to censoring.
    a, b : array of shape (n,)
        Two risks of each patient, higher for earlier events.

    Returns
    -------
    Difference
        Difference, 95 % interval and two-sided p-value; NaN with the reason if both risks
        order every pair equally.

    Raises
    ------
    ValueError
        As `concordance_index`, and if all pairs share one patient.

    Notes
    -----
    Assumptions: patients are independent, censoring is unrelated to the outcome, and the risks were
    not learned from these patients. The difference is taken as normally distributed, which needs a
    few dozen events. The risks are taken as fixed: the variation between training sets is not
    included. If all events have one time and all censored patients a later one, the index is the
    AUC, and this is DeLong's test up to a factor of the variance that tends to one.

    Examples
    --------
    >>> event, time = [True, True, False, True, False], [2, 3, 4, 5, 9]
    >>> round(compare_concordance(event, time, [5, 4, 2, 3, 1], [1, 4, 3, 2, 5]).estimate, 3)
    0.75
    """
    seen, times, risks = _check_risks(event, time, a, b)
    pairs, good = _pairs(seen, times, risks)
    n, total = len(times), pairs.sum() / 2
    gain = good[0] - good[1]
    left = total - pairs
    if not left.all():
        raise ValueError(
            f"all {total:g} pairs of patients whose order is known share one patient, so the "
            "variance of the difference cannot be estimated: more events are needed"
        )
    difference = float(gain.sum() / 2 / total)
    without = (gain.sum() / 2 - gain) / left
    error = float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
    return t_difference(difference, error)


def _check_risks(event: Any, time: Any, *risks: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check events, times and risks; risks are returned as one row each."""
    seen = np.asarray(event)
    if seen.ndim != 1 or seen.dtype != bool:
        raise ValueError(
            f"event must be a list of booleans, got {seen.dtype} of shape {seen.shape}. "
            f"{_coding(pd.Series(seen.ravel()))}"
        )
    rows = []
    for name, given in (("time", time), *(("a risk", risk) for risk in risks)):
        values = np.asarray(given, dtype=np.float64)
        if values.shape != seen.shape:
            raise ValueError(f"event has {len(seen)} patients but {name} has shape {values.shape}")
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{n_bad} of {len(values)} values of {name} are not finite numbers")
        rows.append(values)
    return seen, rows[0], np.stack(rows[1:])


def _pairs(event: np.ndarray, time: np.ndarray, risks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the comparable pairs per patient, and the concordant ones per risk and patient.

    Both counts contain every pair twice, once for each of its patients; ties count one half.
    """
    n = len(time)
    pairs, good = np.zeros(n), np.zeros((len(risks), n))
    first = np.flatnonzero(event)
    step = max(1, MOST_PAIRS // max(n, 1))
    for start in range(0, len(first), step):
        rows = first[start : start + step]
        known = (time[rows, None] < time) | ((time[rows, None] == time) & ~event)
        pairs[rows] += known.sum(axis=1)
        pairs += known.sum(axis=0)
        for k, risk in enumerate(risks):
            order = 0.5 * known * (1 + np.sign(risk[rows, None] - risk))
            good[k, rows] += order.sum(axis=1)
            good[k] += order.sum(axis=0)
    if not pairs.any():
        raise ValueError(
            f"no pair of patients has a known order of events, among {n} patients with "
            f"{int(event.sum())} events: concordance needs at least one such pair"
        )
    return pairs, good
