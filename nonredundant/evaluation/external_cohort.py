"""Scores of a fitted model, and of its known features alone, on a cohort that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.performance import NO_SLOPE, has_probabilities, score_name
from nonredundant.statistics.calibration import calibration_of_times, calibration_summary
from nonredundant.statistics.delong import delong_interval, delong_test, placements
from nonredundant.statistics.estimates import Difference, Estimate
from nonredundant.statistics.probability_differences import probability_differences
from nonredundant.statistics.resampling import bootstrap_interval, paired_bootstrap
from nonredundant.statistics.survival import check_survival, compare_concordance

_SCORES = ["model", "class", "measure", "ideal", "estimate", "low", "high", "reason"]
_GAIN = ["measure", "threshold", "estimate", "low", "high", "p_value", "reason"]


@dataclass(frozen=True)
class ExternalCohort:
    """The outcome of a cohort, and what a model and its known features alone respond.

    Attributes
    ----------
    model : FeatureSetClassifier
        The fitted model.
    truth : dict of str to array
        Positions of the classes as `y`, or `event` and `time`.
    groups : array or None
        Groups of the cases.
    responses : dict of str to array of shape (n_samples, n_columns)
        Probabilities, margins or risks, by the name of the feature set; the model comes first.
    thresholds : list of float
        Probabilities at which the net benefit is estimated.
    random_state : int, RandomState or None
        Seed of the bootstrap.
    """

    model: Any
    truth: dict[str, np.ndarray]
    groups: np.ndarray | None
    responses: dict[str, np.ndarray]
    thresholds: list[float]
    random_state: Any

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for times."""
        return len(self.model.classes_)

    @property
    def has_probabilities(self) -> bool:
        """Whether all responses are probabilities of classes."""
        return all(has_probabilities(one, self.n_classes) for one in self.responses.values())

    def check(self) -> None:
        """Raise if the cohort is too small for any estimate."""
        if not self.n_classes:
            check_survival(_structured(self.truth), len(self.truth["event"]))
            return
        sizes = np.bincount(self.truth["y"], minlength=self.n_classes)
        few = {str(k): int(n) for k, n in zip(self.model.classes_, sizes, strict=True) if n < 2}
        if few:
            raise ValueError(
                f"each class needs two cases or more among the {sizes.sum()} that could be read, "
                f"and there are {few}: a model is validated where all of its classes occur"
            )

    def scores(self) -> pd.DataFrame:
        """Estimate discrimination and calibration of the model and of the reference."""
        rows = []
        name = score_name(self.n_classes)
        for model, response in self.responses.items():
            found = self._discrimination(response)
            rows.append((model, "", name, 1.0, *found))
            rows += [(model, *row) for row in self._calibration(response)]
        return pd.DataFrame(rows, columns=_SCORES)

    def gain(self) -> pd.DataFrame:
        """Compare the model with its known features alone; empty without a reference."""
        if len(self.responses) < 2:
            return pd.DataFrame(columns=_GAIN)
        a, b = self.responses.values()
        rows = [(score_name(self.n_classes), np.nan, *self._difference(a, b))]
        found = pd.DataFrame(rows, columns=_GAIN)
        if self.n_classes != 2 or not self.has_probabilities:
            return found
        more = probability_differences(
            self.truth["y"], a[:, 1], b[:, 1], groups=self.groups, thresholds=self.thresholds
        )
        return pd.concat([found, more[_GAIN]], ignore_index=True)

    def net_benefit(self) -> pd.DataFrame:
        """Estimate the net benefit at the thresholds, for two classes with probabilities."""
        if self.n_classes != 2 or not self.has_probabilities:
            return pd.DataFrame()
        y, parts = self.truth["y"], []
        for model, response in self.responses.items():
            p, found = response[:, 1], {}
            for other, value in (("none", 0.0), ("all", 1.0)):
                table = probability_differences(
                    y, p, np.full(len(p), value), groups=self.groups, thresholds=self.thresholds
                )
                found[other] = table[table["measure"] == "net benefit"].reset_index(drop=True)
            own, over_all = found["none"], found["all"]
            part = own[["threshold", "estimate", "low", "high"]].rename(
                columns={"estimate": "net_benefit"}
            )
            part["over_all"] = over_all["estimate"]
            part["over_all_low"], part["over_all_high"] = over_all["low"], over_all["high"]
            parts.append(part.assign(model=model))
        columns = ["model", *(name for name in parts[0] if name != "model")]
        return pd.concat(parts, ignore_index=True)[columns]

    def _discrimination(self, response: np.ndarray) -> Estimate:
        """Estimate AUC or concordance."""
        if not self.n_classes:
            event, time = self.truth["event"], self.truth["time"]
            constant = np.zeros(len(time))
            # The concordance of equal risks is one half.
            found = compare_concordance(event, time, response[:, -1], constant)
            estimate, low, high = (0.5 + value for value in found[:3])
            return Estimate(estimate, low, high, found.reason)
        y = self.truth["y"]
        if self.n_classes == 2:
            return delong_interval(y, response[:, -1], groups=self.groups)
        return bootstrap_interval(y, response, _auc_ovr, random_state=self.random_state)

    def _difference(self, a: np.ndarray, b: np.ndarray) -> Difference:
        """Compare AUC or concordance of two models."""
        if not self.n_classes:
            event, time = self.truth["event"], self.truth["time"]
            return compare_concordance(event, time, a[:, -1], b[:, -1])
        y = self.truth["y"]
        if self.n_classes == 2:
            return delong_test(y, a[:, -1], b[:, -1], groups=self.groups)
        return paired_bootstrap(y, a, b, _auc_ovr, random_state=self.random_state)

    def _calibration(self, response: np.ndarray) -> list[tuple[Any, ...]]:
        """Estimate the calibration: class, measure, ideal, estimate, interval, reason."""
        if not self.n_classes:
            baseline = self.model.baseline_
            if baseline is None:
                return []
            parts = baseline["time"], baseline["hazard"]
            found = calibration_of_times(
                self.truth["event"], self.truth["time"], response[:, -1], parts
            )
            return [
                ("", name, 1.0, *values, "" if values[0] == values[0] else "too few events")
                for name, values in found.items()
            ]
        if not has_probabilities(response, self.n_classes):
            return []
        rows: list[tuple[Any, ...]] = []
        first = 1 if self.n_classes == 2 else 0
        for k in range(first, self.n_classes):
            label, truth = str(self.model.classes_[k]), self.truth["y"] == k
            one = calibration_summary(truth, response[:, k], groups=self.groups)
            few = "" if one["slope"] == one["slope"] else NO_SLOPE
            for name, key, ideal in (
                ("calibration in the large", "intercept", 0.0),
                ("calibration slope", "slope", 1.0),
            ):
                values = one[key], one[f"{key}_low"], one[f"{key}_high"]
                rows.append((label, name, ideal, *values, few if key == "slope" else ""))
            rows.append((label, "Brier score", 0.0, one["brier"], np.nan, np.nan, ""))
        return rows


def _auc_ovr(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean AUC of each class against the rest, as scikit-learn's, but without checks."""
    aucs = [placements(y == k, p[:, k][None])[0][0] for k in range(p.shape[1])]
    return float(np.mean(aucs))


def _structured(truth: dict[str, np.ndarray]) -> np.ndarray:
    """Return events and times as one array."""
    pairs = np.empty(len(truth["time"]), dtype=[("event", bool), ("time", float)])
    pairs["event"], pairs["time"] = truth["event"], truth["time"]
    return pairs
