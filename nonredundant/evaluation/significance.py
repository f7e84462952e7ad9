"""Intervals and paired tests of feature sets, over folds and on a test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.evaluation.aggregation import GRAPH
from nonredundant.evaluation.feature_sets import references
from nonredundant.evaluation.fitting import Fitted, Recorded
from nonredundant.evaluation.outcome import CONCORDANCE, Outcome
from nonredundant.evaluation.study import Study
from nonredundant.statistics.survival import compare_concordance, concordance_index

N_RESAMPLES = 1000
_PAIR = ["feature_set", "reference", "classifier", "metric"]
#: Metrics that lie between 0 and 1.
_SHARES = (
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


def fold_summary(scores: pd.DataFrame, sizes: tuple[float, float]) -> pd.DataFrame:
    """Return mean, spread and the corrected resampled interval of each set."""
    from nonredundant.statistics.resampling import resampled_interval

    rows = []
    for place, group in scores.groupby(["feature_set", "classifier", "metric"], sort=False):
        values = group["score"].to_numpy()
        low = high = float("nan")
        if len(values) > 1:
            low, high = resampled_interval(values, *sizes)[1:] if np.ptp(values) else values[:2]
            if place[-1] in _SHARES:
                # A t interval knows no bounds; cut to where the truth can lie it covers as often.
                low, high = np.clip((low, high), 0.0, 1.0)
        spread = values.std(ddof=1) if len(values) > 1 else float("nan")
        rows.append((*place, values.mean(), spread, low, high))
    columns = ["feature_set", "classifier", "metric", "mean", "sd", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def fold_tests(study: Study, scores: pd.DataFrame, sizes: tuple[float, float]) -> pd.DataFrame:
    """Return the corrected resampled t-test of each set against its references."""
    pairs = [
        ((name, clf), (reference, clf), (name, reference, clf))
        for name, reference in _pairs(study)
        for clf in study.estimators
    ]
    return _differences(scores, pairs, sizes)


def graph_tests(study: Study, scores: pd.DataFrame, sizes: tuple[float, float]) -> pd.DataFrame:
    """Return the corrected resampled t-test of the graph against each classifier, set by set."""
    pairs = [
        ((one.name, GRAPH), (one.name, clf), (one.name, clf, GRAPH))
        for one in study.sets
        for clf in study.estimators
        if clf != GRAPH
    ]
    return _differences(scores, pairs, sizes)


def _differences(
    scores: pd.DataFrame,
    pairs: list[tuple[tuple[str, str], tuple[str, str], tuple[str, str, str]]],
    sizes: tuple[float, float],
) -> pd.DataFrame:
    """Return the test of each pair of (set, classifier), in the rows that the third names.

    Pairs that were not fitted are left out: the graph has no set without columns of lesions.
    """
    from nonredundant.statistics.resampling import resampled_test

    folds, places = ["repeat", "fold"], ["metric", "feature_set", "classifier"]
    wide = scores.pivot_table(index=folds, columns=places, values="score")
    rows = []
    for left, right, names in pairs:
        for metric in scores["metric"].unique():
            if (metric, *left) in wide and (metric, *right) in wide:
                difference = (wide[metric, *left] - wide[metric, *right]).to_numpy()
                test = _test(difference, lambda d: resampled_test(d, *sizes))
                rows.append((*names, metric, *test, "corrected resampled t"))
    return _with_holm(rows)


def _test(difference: np.ndarray, test: Callable[[np.ndarray], Any]) -> tuple[float, ...]:
    """Return estimate, interval and p; identical scores are no difference at all."""
    if len(difference) < 2:
        return float(difference.mean()), float("nan"), float("nan"), float("nan")
    if not np.any(difference):
        return 0.0, 0.0, 0.0, 1.0
    return tuple(float(value) for value in test(difference)[:4])


def _pairs(study: Study) -> Iterator[tuple[str, str]]:
    """Yield each set with each of its references."""
    for one in study.sets:
        for reference in references(study.sets, one):
            yield one.name, reference


def _with_holm(rows: list[tuple]) -> pd.DataFrame:
    """Return the tests with p-values corrected over all sets and classifiers of a reference."""
    from nonredundant.statistics.multiplicity import holm

    columns = [*_PAIR, "estimate", "low", "high", "p_value", "method"]
    tests = pd.DataFrame(rows, columns=columns)
    tests.insert(8, "p_holm", np.nan)
    for _, family in tests.groupby(["reference", "metric"], sort=False):
        known = family.index[family["p_value"].notna()]
        if len(known):
            tests.loc[known, "p_holm"] = holm(tests.loc[known, "p_value"].to_numpy())
    return tests


def score_columns(response: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of predictions: `score` of the second class or risk, or one a class."""
    if len(classes) in (0, 2):
        return {"score": response[:, -1]}
    return {f"score_{label}": response[:, k] for k, label in enumerate(classes)}


def ensembles(fitted: list[Fitted]) -> dict[tuple[str, str], np.ndarray]:
    """Return the mean response of all fold models to the held-out test set."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for one in fitted:
        found.setdefault((one.feature_set, one.classifier), []).append(one.external)
    return {place: np.mean(parts, axis=0) for place, parts in found.items()}


def ensemble_predictions(
    study: Study, mean: dict[tuple[str, str], np.ndarray], held: Outcome
) -> pd.DataFrame:
    """Return the ensembles' predictions of the held-out test set; repeat and fold are -1."""
    parts = []
    truth = held.truth(np.arange(len(held.y)))
    for (feature_set, classifier), response in mean.items():
        head = {
            "sample": study.table.index[study.n :],
            "repeat": -1,
            "fold": -1,
            "feature_set": feature_set,
            "classifier": classifier,
            **truth,
        }
        parts.append(pd.DataFrame({**head, **score_columns(response, held.classes)}))
    return pd.concat(parts, ignore_index=True)


class TestSet:
    """Intervals and paired tests of ensembles on a held-out test set."""

    #: Not a test case, whatever pytest makes of the name.
    __test__ = False

    def __init__(
        self, study: Study, mean: dict[tuple[str, str], np.ndarray], held: Outcome, seed: int
    ) -> None:
        self.study, self.mean, self.y, self.seed = study, mean, held.y, seed
        self.rows = np.arange(len(self.y))
        self.binary = len(held.classes) == 2
        self.n_classes = len(held.classes)

    def summary(self) -> pd.DataFrame:
        """Return score and 95 % interval: DeLong or its like, else the stratified bootstrap."""
        from nonredundant.statistics.delong import delong_interval
        from nonredundant.statistics.resampling import bootstrap_interval

        rows = []
        for (feature_set, clf), response in self.mean.items():
            for metric in self.study.options.scorers:
                if metric == CONCORDANCE:
                    found = self._concordance(response[:, -1])
                elif self._by_delong(metric):
                    found = delong_interval(self.y, response[:, -1])
                else:
                    found = bootstrap_interval(
                        self.y,
                        self.rows,
                        self._metric(metric, response),
                        n_resamples=N_RESAMPLES,
                        random_state=self.seed,
                    )
                # Intervals of normal law end where scores end.
                low, high = np.clip(found[1:3], 0, 1) if metric in _SHARES else found[1:3]
                rows.append((feature_set, clf, metric, found[0], np.nan, low, high))
        columns = ["feature_set", "classifier", "metric", "mean", "sd", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def tests(self) -> pd.DataFrame:
        """Return DeLong's paired test of AUCs, its like, else the paired bootstrap."""
        rows = []
        for name, reference in _pairs(self.study):
            for clf in self.study.estimators:
                if (name, clf) not in self.mean or (reference, clf) not in self.mean:
                    continue
                for metric in self.study.options.scorers:
                    pair = self.mean[name, clf], self.mean[reference, clf]
                    test, method = self._compare(metric, *pair)
                    rows.append((name, reference, clf, metric, *test, method))
        return _with_holm(rows)

    def _compare(self, metric: str, a: np.ndarray, b: np.ndarray) -> tuple[tuple, str]:
        """Return the paired test of two responses."""
        from nonredundant.statistics.delong import delong_test
        from nonredundant.statistics.resampling import paired_bootstrap

        method = "DeLong" if self._by_delong(metric) else "paired bootstrap"
        if metric == CONCORDANCE:
            method = "paired concordance"
        if np.array_equal(a, b):
            return (0.0, 0.0, 0.0, 1.0), method
        if metric == CONCORDANCE:
            return self._compare_concordance(a[:, -1], b[:, -1]), method
        if self._by_delong(metric):
            return tuple(delong_test(self.y, a[:, -1], b[:, -1])[:4]), method
        both = np.vstack([a, b])
        found = paired_bootstrap(
            self.y,
            self.rows,
            self.rows + len(self.y),
            self._metric(metric, both),
            n_resamples=N_RESAMPLES,
            random_state=self.seed,
        )
        return tuple(found[:4]), method

    def _concordance(self, risk: np.ndarray) -> tuple[float, ...]:
        """Return concordance and interval: what it has more than a constant risk, which has 0.5."""
        found = self._compare_concordance(risk, np.zeros(len(risk)))
        return tuple(0.5 + value for value in found[:3])

    def _compare_concordance(self, a: np.ndarray, b: np.ndarray) -> tuple[float, ...]:
        """Return difference, interval and p; the difference alone where that is all there is."""
        times = self.y["event"], self.y["time"]
        try:
            return tuple(compare_concordance(*times, a, b))
        except ValueError:
            # All pairs share one patient, so that the difference has no estimate of its error.
            difference = concordance_index(*times, a) - concordance_index(*times, b)
            return difference, float("nan"), float("nan"), float("nan")

    def _by_delong(self, metric: str) -> bool:
        """Whether the metric is the AUC of two classes."""
        return self.binary and metric == "roc_auc"

    def _metric(self, metric: str, response: np.ndarray) -> Callable[..., float]:
        """Return the scorer as a function of labels and row numbers."""
        recorded, scorer = Recorded(response, self.n_classes), self.study.options.scorers[metric]
        return lambda y, rows: float(scorer(recorded, np.asarray(rows, dtype=int), y))


def pooled_tests(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return DeLong's test on pooled out-of-fold predictions of the first repeat.

    A second opinion: it takes the fold models as given and does not see that another training
    set would give other ones.
    """
    from nonredundant.statistics.delong import delong_test

    rows: list[tuple] = []
    y = study.outcome.y
    first = predictions[predictions["repeat"] == 0]
    repeated = first.duplicated(["feature_set", "classifier", "sample"]).any()
    if "score" not in first or "roc_auc" not in study.options.scorers or repeated:
        # Where test folds overlap, as those of random splits do, there is no one prediction.
        return _with_holm(rows)
    index = study.table.index[: study.n]
    wide = {
        place: group.set_index("sample")["score"].reindex(index).to_numpy()
        for place, group in first.groupby(["feature_set", "classifier"])
    }
    for name, reference in _pairs(study):
        for clf in study.estimators:
            if (name, clf) not in wide or (reference, clf) not in wide:
                continue
            a, b = wide[name, clf], wide[reference, clf]
            seen = ~np.isnan(a)
            test: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
            if not np.array_equal(a[seen], b[seen]):
                test = tuple(delong_test(y[seen], a[seen], b[seen])[:4])
            rows.append((name, reference, clf, "roc_auc", *test, "DeLong, pooled out-of-fold"))
    return _with_holm(rows)
