"""The outcome of a comparison: classes, numbers, or times to an event, some of them censored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from nonredundant.classifiers.builtin import Kind
from nonredundant.lesions.labels import (
    check_one_kind,
    check_spelling,
    check_unlabelled,
    class_positions,
)
from nonredundant.statistics.survival import check_survival, describe_uncensored, null_residuals
from nonredundant.utils.user_warnings import warn_user

#: Names of samples without and with an observed event.
STATES = ("censored", "event")
#: Names of the quarters of a continuous outcome, which all folds hold alike.
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Outcome:
    """The checked outcome; `classes` is empty for numbers and for times to an event.

    Attributes
    ----------
    y : array of shape (n_samples,)
        Positions of the classes, numbers, or a structured array of event and time.
    strata : int array of shape (n_samples,)
        Strata of the folds: the class, the quarter of the number, or whether the event was
        observed.
    classes : array
        The labels of the classes.
    test : Outcome or None
        The outcome of the held-out test set.
    """

    y: np.ndarray
    strata: np.ndarray
    classes: np.ndarray
    test: Outcome | None = None

    @property
    def kind(self) -> Kind:
        """What the outcome is."""
        if self.is_survival:
            return "times"
        return "classes" if len(self.classes) else "numbers"

    @property
    def is_survival(self) -> bool:
        """Whether the outcome is a time to an event."""
        return self.y.dtype.names is not None

    @property
    def for_network(self) -> np.ndarray:
        """The labels for networks: the class; -1, unlabelled, for numbers and times."""
        return self.y if self.kind == "classes" else np.full(len(self.y), -1)

    @property
    def states(self) -> np.ndarray:
        """Names of the strata."""
        names = {"classes": self.classes, "numbers": QUARTERS, "times": STATES}
        return np.asarray(names[self.kind])

    def take(self, kept: np.ndarray, kept_test: np.ndarray) -> Outcome:
        """Select samples of the cohort and of the test set."""
        test = None if self.test is None else self.test.take(kept_test, kept_test)
        return replace(
            self,
            y=self.y[kept],
            strata=self.strata[kept],
            test=test,
        )

    def at(self, rows: np.ndarray) -> Outcome:
        """Select samples of the cohort by position, without the test set."""
        return replace(self, y=self.y[rows], strata=self.strata[rows], test=None)

    @property
    def target(self) -> np.ndarray:
        """The values that steps and selections which see the outcome are fitted to.

        They are the positions of the classes, the numbers, or the martingale residuals of the
        times to an event among the samples of this outcome.
        """
        return null_residuals(self.y["event"], self.y["time"]) if self.is_survival else self.y

    def check(self, name: str) -> None:
        """Raise a ValueError if the extracted samples have fewer than two classes, or no event."""
        n = len(self.y)
        if self.is_survival and not self.y["event"].any():
            raise ValueError(f"{name} has no event among the {n} samples that could be extracted")
        if self.kind == "numbers":
            _check_varies(self.y, name)
        if self.kind == "classes" and len(np.unique(self.y)) < 2:
            left = self.classes[np.unique(self.y)].tolist()
            raise ValueError(
                f"{name} has the classes {left} alone among the {n} samples that could be "
                "extracted; two are needed"
            )
        if self.test is not None:
            self.test.check("the test set's y")

    def truth(self) -> dict[str, np.ndarray]:
        """Return the columns of the true outcome in tables of predictions."""
        columns = {"y": self.y if self.kind == "numbers" else self.states[self.strata]}
        if self.is_survival:
            columns["time"] = self.y["time"]
        return columns


def read_outcome(y: Any, y_test: Any, n: int, n_test: int, *, continuous: bool = False) -> Outcome:
    """Check the outcome of the cohort and of the test set; `continuous` takes labels as numbers.

    Raises
    ------
    ValueError
        If lengths differ, labels are missing, there is one class, one number or no event, or the
        test set does not match.
    """
    if continuous:
        test = None if y_test is None else _numbers(y_test, "the test set's y", n_test)
        return replace(_numbers(y, "y", n), test=test)
    if _is_structured(y):
        test = None if y_test is None else _event_times(y_test, "the test set's y", n_test)
        return replace(_event_times(y, "y", n), test=test)
    labels = _labels(y, "y", n)
    classes = _classes(y, labels)
    codes = pd.Index(classes).get_indexer(labels)
    if len(classes) < 2:
        raise ValueError(
            f"y contains only the class {classes.tolist()[0]!r}; more than one class is needed"
        )
    if len(classes) > max(20, len(labels) // 4):
        raise ValueError(
            f"y contains {len(classes)} different values in {len(labels)} samples: labels must be "
            "classes. A continuous outcome is compared by compare_feature_sets(scoring='r2'); "
            "times to an event are given with their events, as a structured array of both"
        )
    if y_test is None:
        return Outcome(codes, codes, classes)
    held = _labels(y_test, "the test set's y", n_test)
    codes_test = class_positions(held, classes)
    if (codes_test < 0).any():
        unknown = np.unique(held[codes_test < 0])
        raise ValueError(
            f"the test set has labels that are not in y: {unknown.tolist()}; those of y are "
            f"{classes.tolist()}"
        )
    if len(np.unique(codes_test)) < 2:
        only = held.tolist()[0]
        raise ValueError(f"the test set contains only the class {only!r}; two are needed")
    return Outcome(codes, codes, classes, Outcome(codes_test, codes_test, classes))


def _numbers(y: Any, name: str, n: int) -> Outcome:
    """Check the numbers of one cohort."""
    if _is_structured(y):
        raise ValueError(
            f"{name} has events and times, and the scoring asks for one number per sample: leave "
            "it out, or give the numbers alone"
        )
    labels = _labels(y, name, n, classes=False)
    values = pd.to_numeric(pd.Series(labels), errors="coerce").to_numpy(dtype=float)
    words = np.flatnonzero(np.isnan(values))
    if len(words):
        raise ValueError(
            f"{name} has {str(labels[words[0]])!r} at position {words[0]}, and the scoring asks "
            "for numbers: name a metric of classes, such as 'roc_auc', or correct these cells"
        )
    _check_varies(values, name)
    quarter = (rankdata(values, method="ordinal") - 1) * len(QUARTERS) // n
    return Outcome(values, quarter.astype(np.int64), np.empty(0, dtype=object))


def _check_varies(values: np.ndarray, name: str) -> None:
    """Raise a ValueError if all numbers are equal."""
    if values.min() == values.max():
        raise ValueError(
            f"{name} is {values[0]:g} in all {len(values)} samples: nothing can be predicted"
        )


def _is_structured(y: Any) -> bool:
    """Return whether y consists of events and times."""
    if isinstance(y, pd.DataFrame):
        return y.shape[1] == 2
    return getattr(getattr(y, "dtype", None), "names", None) is not None


def _event_times(y: Any, name: str, n: int) -> Outcome:
    """Check the events and times of one cohort."""
    try:
        event, time = check_survival(y, n)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if uncensored := describe_uncensored(event):
        warn_user(f"{name}: {uncensored}", kind="nobody censored")
    pairs = np.empty(n, dtype=[("event", bool), ("time", float)])
    pairs["event"], pairs["time"] = event, time
    nothing = np.empty(0, dtype=object)
    return Outcome(pairs, event.astype(np.int64), nothing)


def _classes(y: Any, labels: np.ndarray) -> np.ndarray:
    """Return the distinct labels: in the order of an ordered categorical, else ascending."""
    classes = np.unique(labels)
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        order = np.asarray(dtype.categories)
        order = order.astype(str) if order.dtype == object else order
        classes = order[np.isin(order, classes)]
    check_spelling(classes.tolist())
    return classes


def _labels(y: Any, name: str, n: int, *, classes: bool = True) -> np.ndarray:
    """Convert labels to an array; raise if some are missing or their number is wrong."""
    if y is None:
        raise ValueError(f"{name} is None: give the labels of the {n} samples")
    array = np.asarray(y)
    if array.ndim > 1 and array.shape != (len(array), 1):
        raise ValueError(
            f"{name} has the shape {array.shape}: give one label per sample; events and their "
            "times are a structured array or a DataFrame of two columns"
        )
    series = pd.Series(array.ravel())
    if len(series) != n:
        raise ValueError(f"{name} has {len(series)} labels but there are {n} samples")
    missing = np.flatnonzero(series.isna())
    if len(missing):
        raise ValueError(
            f"{name} has no label for {len(missing)} samples, at positions "
            f"{missing[:5].tolist()}: drop them or label them"
        )
    values = series.to_numpy()
    if values.dtype.kind == "f" and np.isinf(values).any():
        infinite = np.flatnonzero(np.isinf(values))
        raise ValueError(
            f"{name} is infinite for {len(infinite)} samples, at positions "
            f"{infinite[:5].tolist()}: correct these labels or drop the samples"
        )
    # NumPy writes the numbers of a list as text if there is text among them.
    check_one_kind(y if isinstance(y, list | tuple) else values, name)
    if classes:
        check_unlabelled(values, name)
    return values.astype(str) if values.dtype == object else values


def by_position(class_weight: Any, classes: np.ndarray) -> Any:
    """Convert class weights by label to weights by the position of the class."""
    if not isinstance(class_weight, dict):
        return class_weight
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which are not among the classes {labels}")
    return {labels.index(label): weight for label, weight in class_weight.items()}
