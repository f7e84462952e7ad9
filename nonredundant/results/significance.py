"""Intervals and paired tests of feature sets, over folds and on a test set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.classifiers.builtin import GRAPH
from nonredundant.classifiers.scoring import CONCORDANCE, SPEARMAN, recorded
from nonredundant.folds.fitting import Fitted
from nonredundant.folds.out_of_fold import OutOfFold
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.study import Study
from nonredundant.statistics.cross_validation import (
    cross_validated_auc,
    cross_validated_auc_difference,
)
from nonredundant.statistics.delong import delong_interval, delong_test
from nonredundant.statistics.estimates import Difference, Estimate, not_estimable
from nonredundant.statistics.explained_variance import (
    cross_validated_r2,
    cross_validated_r2_difference,
)
from nonredundant.statistics.heterogeneity import mean_over_centres
from nonredundant.statistics.multiplicity import holm
from nonredundant.statistics.resampling import (
    bootstrap_interval,
    paired_bootstrap,
    resampled_interval,
    resampled_test,
)
from nonredundant.statistics.survival import compare_concordance, concordance_index

N_RESAMPLES = 1000
#: Names of the tests of the AUC and the R² of cross-validation, and of folds that are centres.
AUC_METHOD, CENTRE_METHOD = "influence curve", "t over centres"
_SUMMARY = ["feature_set", "classifier", "metric", "mean", "sd", "low", "high", "reason"]
_TESTS = [
    "feature_set",
    "reference",
    "classifier",
    "metric",
    "estimate",
    "low",
    "high",
    "p_value",
    "method",
    "reason",
]
#: Two pairs of feature set and classifier, and the names of the row of their difference.
_Pair = tuple[tuple[str, str], tuple[str, str], tuple[str, str, str]]
#: Metrics that lie between 0 and 1.
SHARES = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "f1_macro",
    "precision",
    "recall",
    "roc_auc",
    "roc_auc_ovr",
    CONCORDANCE,
)
#: The least and the largest value of other metrics.
_RANGES = {"r2": (-np.inf, 1.0), SPEARMAN: (-1.0, 1.0)}


def _possible(metric: str, low: float, high: float) -> tuple[float, float]:
    """Clip an interval to possible values, which keeps its coverage: t intervals are unbounded."""
    least, most = (0.0, 1.0) if metric in SHARES else _RANGES.get(metric, (-np.inf, np.inf))
    return float(np.clip(low, least, most)), float(np.clip(high, least, most))


class FoldTests:
    """Intervals and paired tests of the scores of cross-validation.

    The AUC of two classes and the R² of numbers are judged by the influence of each sample and
    their paired differences, every other score by the corrected resampled t-test. Where each fold
    is a centre, centres are the units, and every score is judged by Student's t over them.
    """

    def __init__(self, study: Study, held: OutOfFold, scores: pd.DataFrame) -> None:
        self.study, self.held, self.scores = study, held, scores
        self.sizes = tuple(
            float(np.mean([len(rows) for rows in side]))
            for side in zip(*((fold.train, fold.test) for fold in study.folds), strict=True)
        )
        fits = ["metric", "feature_set", "classifier"]
        self.wide = scores.pivot_table(index=["repeat", "fold"], columns=fits, values="score")

    def summary(self) -> pd.DataFrame:
        """Compute mean, standard deviation over folds and 95 % interval of each set."""
        rows = []
        for names, group in self.scores.groupby(
            ["feature_set", "classifier", "metric"], sort=False
        ):
            feature_set, classifier, metric = map(str, names)
            scores = group["score"].to_numpy()
            if self.study.left_in is not None:
                found = mean_over_centres(scores)
                estimate = Estimate(found.estimate, found.low, found.high, found.reason)
            elif self._by_influence(metric):
                judge = cross_validated_r2 if metric == "r2" else cross_validated_auc
                estimate = judge(
                    self.study.outcome.y,
                    self.held.score(feature_set, classifier),
                    self.held.folds,
                    groups=self.study.groups,
                )
            else:
                estimate = resampled_interval(scores, *self.sizes)
            low, high = _possible(metric, estimate.low, estimate.high)
            spread = scores.std(ddof=1) if len(scores) > 1 else float("nan")
            rows.append((*names, estimate.estimate, spread, low, high, estimate.reason))
        return pd.DataFrame(rows, columns=_SUMMARY)

    def tests(self) -> pd.DataFrame:
        """Test each set against its references."""
        return self._differences(
            ((s.name, clf), (reference, clf), (s.name, reference, clf))
            for s, reference in self.study.pairs()
            for clf in self.study.estimators
        )

    def graph_tests(self) -> pd.DataFrame:
        """Test the graph against each classifier, per set."""
        return self._differences(
            ((s.name, GRAPH), (s.name, clf), (s.name, clf, GRAPH))
            for s in self.study.sets
            for clf in self.study.estimators
            if clf != GRAPH
        )

    def _differences(self, pairs: Iterable[_Pair]) -> pd.DataFrame:
        """Test the difference of pairs of (set, classifier).

        Each entry of `pairs` holds the two and the names of its row. Pairs that were not fitted
        are left out: the graph is not fitted on sets without columns of lesions.
        """
        rows = []
        for left, right, names in pairs:
            if left not in self.held.responses or right not in self.held.responses:
                continue
            for metric in self.scores["metric"].unique():
                difference, method = self._difference(metric, left, right)
                rows.append(_test_row((*names, metric), difference, method))
        return _with_holm(rows)

    def _difference(
        self, metric: str, left: tuple[str, str], right: tuple[str, str]
    ) -> tuple[Any, str]:
        """Test one difference and name the method."""
        differences = (self.wide[metric, *left] - self.wide[metric, *right]).to_numpy()
        if self.study.left_in is not None:
            return mean_over_centres(differences), CENTRE_METHOD
        if self._by_influence(metric):
            judge = cross_validated_auc_difference
            if metric == "r2":
                judge = cross_validated_r2_difference
            found = judge(
                self.study.outcome.y,
                self.held.score(*left),
                self.held.score(*right),
                self.held.folds,
                groups=self.study.groups,
            )
            return found, AUC_METHOD
        return resampled_test(differences, *self.sizes), "corrected resampled t"

    def _by_influence(self, metric: str) -> bool:
        """Return whether the metric is the AUC of two classes, or R²."""
        return metric == "r2" or (metric == "roc_auc" and len(self.study.outcome.classes) == 2)


def _test_row(names: tuple[str, ...], difference: Difference, method: str) -> tuple:
    """Return a row of the table of tests; the last name is that of the metric."""
    low, high = difference.low, difference.high
    if names[-1] in SHARES:
        # A t interval is unbounded; clipping it to possible values keeps its coverage.
        low, high = np.clip((low, high), -1.0, 1.0)
    return (
        *names,
        difference.estimate,
        low,
        high,
        difference.p_value,
        method,
        difference.reason,
    )


def _with_holm(rows: list[tuple]) -> pd.DataFrame:
    """Make the table of tests, with p-values corrected over all tests against a reference.

    Differences that are not estimable do not count, and those of sets that are equal by
    construction, whose numbers are the same, count once.
    """
    tests = pd.DataFrame(rows, columns=_TESTS)
    tests.insert(8, "p_holm", np.nan)
    for _, family in tests.groupby(["reference", "metric"], sort=False):
        estimable = family[family["p_value"].notna()]
        if len(estimable):
            numbers = estimable[["estimate", "low", "high", "p_value"]].to_numpy(dtype=float)
            _, first, copies = np.unique(
                numbers.round(9), axis=0, return_index=True, return_inverse=True
            )
            tests.loc[estimable.index, "p_holm"] = holm(numbers[first, -1])[copies.ravel()]
    return tests


def score_columns(response: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the score columns of predictions: of the second class, of the risk, or per class."""
    if len(classes) in (0, 2):
        return {"score": response[:, -1]}
    return {f"score_{label}": response[:, k] for k, label in enumerate(classes)}


def ensembles(fitted: list[Fitted]) -> dict[tuple[str, str], np.ndarray]:
    """Average the responses of all fold models to the held-out test set."""
    responses: dict[tuple[str, str], list[np.ndarray]] = {}
    for fit in fitted:
        responses.setdefault((fit.feature_set, fit.classifier), []).append(fit.external)
    return {pair: np.mean(folds, axis=0) for pair, folds in responses.items()}


def ensemble_predictions(
    study: Study, mean: dict[tuple[str, str], np.ndarray], held: Outcome
) -> pd.DataFrame:
    """Make the table of the ensembles' predictions of the test set; repeat and fold are -1."""
    parts = []
    truth = held.truth()
    for (feature_set, classifier), response in mean.items():
        head = {
            "sample": study.test_table.index,
            "repeat": -1,
            "fold": -1,
            "feature_set": feature_set,
            "classifier": classifier,
            **truth,
        }
        parts.append(pd.DataFrame({**head, **score_columns(response, held.classes)}))
    return pd.concat(parts, ignore_index=True)


#: Why an AUC has no error on a test set where one case is all that there is of a class.
_ONE_CASE = "one case of a class is too few"
#: Why scores other than the AUC have no error on a test set of groups.
_GROUPED = "errors of groups of samples are known for the AUC of two classes only"


class TestSet:
    """Intervals and paired tests of ensembles on a held-out test set."""

    #: Keeps pytest from collecting the class as a test case.
    __test__ = False

    def __init__(
        self, study: Study, mean: dict[tuple[str, str], np.ndarray], held: Outcome, seed: int
    ) -> None:
        self.study, self.mean, self.y, self.seed = study, mean, held.y, seed
        self.rows = np.arange(len(self.y))
        self.binary = len(held.classes) == 2
        self.n_classes = len(held.classes)
        #: Scores of resamples, by metric and response.
        self.scored: dict[tuple[str, int], dict[int, float]] = {}
        self.one_case = self.binary and int(np.bincount(self.y).min()) < 2

    def summary(self) -> pd.DataFrame:
        """Compute scores and 95 % intervals, by DeLong or by the stratified bootstrap."""
        rows = []
        for (feature_set, clf), response in self.mean.items():
            for metric in self.study.options.scorers:
                estimate = self._interval(metric, response)
                low, high = _possible(metric, estimate.low, estimate.high)
                head = feature_set, clf, metric
                rows.append((*head, estimate.estimate, np.nan, low, high, estimate.reason))
        return pd.DataFrame(rows, columns=_SUMMARY)

    def _interval(self, metric: str, response: np.ndarray) -> Estimate:
        """Compute a score and its 95 % interval."""
        reason = self._no_error(metric)
        if reason:
            return Estimate(self._value(metric, response), np.nan, np.nan, reason)
        if self._by_delong(metric):
            return delong_interval(self.y, response[:, -1], groups=self.study.cohort.test_groups)
        if metric == CONCORDANCE:
            return self._concordance(response[:, -1])
        return bootstrap_interval(
            self.y,
            self.rows,
            self._metric(metric, response),
            stratify=self.n_classes > 0,
            n_resamples=N_RESAMPLES,
            random_state=self.seed,
        )

    def tests(self) -> pd.DataFrame:
        """Test differences by DeLong or, for other metrics, the paired bootstrap."""
        rows = []
        for name, reference in ((s.name, other) for s, other in self.study.pairs()):
            for clf in self.study.estimators:
                if (name, clf) not in self.mean or (reference, clf) not in self.mean:
                    continue
                for metric in self.study.options.scorers:
                    pair = self.mean[name, clf], self.mean[reference, clf]
                    names = (name, reference, clf, metric)
                    rows.append(_test_row(names, *self._compare(metric, *pair)))
        return _with_holm(rows)

    def _compare(self, metric: str, a: np.ndarray, b: np.ndarray) -> tuple[Difference, str]:
        """Test the difference between two responses, and name the method."""
        groups, method = self.study.cohort.test_groups, self._method(metric)
        reason = self._no_error(metric)
        if reason:
            return not_estimable(self._value(metric, a) - self._value(metric, b), reason), method
        if self._by_delong(metric):
            return delong_test(self.y, a[:, -1], b[:, -1], groups=groups), method
        if metric == CONCORDANCE:
            return self._compare_concordance(a[:, -1], b[:, -1]), method
        n, of_a, of_b = len(self.y), self._metric(metric, a), self._metric(metric, b)
        difference = paired_bootstrap(
            self.y,
            self.rows,
            self.rows + n,
            lambda y, rows: of_a(y, rows) if rows[0] < n else of_b(y, rows - n),
            stratify=self.n_classes > 0,
            n_resamples=N_RESAMPLES,
            random_state=self.seed,
        )
        return difference, method

    def _concordance(self, risk: np.ndarray) -> Estimate:
        """Compute concordance and interval from the difference to a constant risk (0.5)."""
        above = self._compare_concordance(risk, np.zeros(len(risk)))
        middle = 0.5
        return Estimate(
            middle + above.estimate, middle + above.low, middle + above.high, above.reason
        )

    def _compare_concordance(self, a: np.ndarray, b: np.ndarray) -> Difference:
        """Compute difference, interval and p; NaN where the error cannot be estimated."""
        times = self.y["event"], self.y["time"]
        try:
            return compare_concordance(*times, a, b)
        except ValueError as error:
            # All comparable pairs share one patient.
            difference = concordance_index(*times, a) - concordance_index(*times, b)
            return not_estimable(difference, str(error))

    def _method(self, metric: str) -> str:
        """Name the test of a metric."""
        if self._by_delong(metric):
            return "DeLong" if self.study.cohort.test_groups is None else "DeLong, clustered"
        return "paired concordance" if metric == CONCORDANCE else "paired bootstrap"

    def _no_error(self, metric: str) -> str:
        """Return why the scores of a metric have no error on this test set; empty if they have."""
        if self._by_delong(metric):
            return _ONE_CASE if self.one_case else ""
        return "" if self.study.cohort.test_groups is None else _GROUPED

    def _value(self, metric: str, response: np.ndarray) -> float:
        """Compute a score without its error."""
        if metric == CONCORDANCE:
            return concordance_index(self.y["event"], self.y["time"], response[:, -1])
        return self._metric(metric, response)(self.y, self.rows)

    def _by_delong(self, metric: str) -> bool:
        """Return whether the metric is the AUC of two classes."""
        return self.binary and metric == "roc_auc"

    def _metric(self, metric: str, response: np.ndarray) -> Callable[..., float]:
        """Return the scorer as a function of labels and row numbers.

        All sets are scored on the same resamples; each value is computed once.
        """
        model, scorer = recorded(response, self.n_classes), self.study.options.scorers[metric]
        scored = self.scored.setdefault((metric, id(response)), {})

        def value(y: Any, rows: Any) -> float:
            """Score the rows."""
            rows = np.asarray(rows, dtype=int)
            key = hash(rows.tobytes())
            if key not in scored:
                scored[key] = float(scorer(model, rows, y))
            return scored[key]

        return value
