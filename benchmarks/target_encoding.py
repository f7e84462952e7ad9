"""What a clinical column of many levels that says nothing costs, encoded by the target.

Five features, the first of which predicts, and 40 wards drawn at random, n = 120, logistic
regression, ten draws. The wards are encoded by `TargetEncoder` as a step of the fold; beside it
the same columns in a plain pipeline of scikit-learn. An encoder that encodes its own training rows
by their labels, as `fit` and then `transform` does, ruins the model.
`python benchmarks/target_encoding.py` prints a table and writes it into docs/benchmarks.md.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from reporting import write_section
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from nonredundant import EncodeClinical, LesionTable, compare_feature_sets

N_SAMPLES, N_WARDS, N_DRAWS = 120, 40, 10


class FitThenTransform(TransformerMixin, BaseEstimator):
    """The wrong way: encodes training rows by what was fitted to their own labels."""

    def __init__(self, encoder: TargetEncoder) -> None:
        self.encoder = encoder

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> FitThenTransform:
        """Fit the encoder."""
        self.encoder_ = self.encoder.fit(X, y)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Encode rows."""
        return self.encoder_.transform(X)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Name the column."""
        return np.array(["ward"])


def encoder(part: object) -> ColumnTransformer:
    """Return a transformer of the wards."""
    return ColumnTransformer([("ward", part, ["ward"])])


def draw(seed: int) -> dict[str, float]:
    """Return the AUC of each way."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(N_SAMPLES, 5))
    y = (rng.uniform(size=N_SAMPLES) < expit(h[:, 0])).astype(int)
    frame = pd.DataFrame(h).add_prefix("f")
    samples = pd.DataFrame({"ward": rng.integers(0, N_WARDS, N_SAMPLES).astype(str)})
    table = LesionTable(frame, samples=samples)
    settings = {"classifiers": "LR", "baselines": False, "random_state": seed}
    found = {}
    for name, part in (("step", TargetEncoder()), ("wrong", FitThenTransform(TargetEncoder()))):
        steps = [EncodeClinical(encoder(part))]
        sets = ("HCR", "Clinical+HCR")
        summary = compare_feature_sets(table, y, feature_sets=sets, steps=steps, **settings).summary
        mean = summary.set_index("feature_set")["mean"]
        found |= {"HCR": mean["HCR"], name: mean["Clinical+HCR"]}
    plain = make_pipeline(
        ColumnTransformer([("ward", TargetEncoder(), ["ward"])], remainder="passthrough"),
        StandardScaler(),
        LogisticRegression(C=0.1),
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_score(plain, frame.join(samples), y, cv=folds, scoring="roc_auc")
    return found | {"plain": scores.mean()}


def main() -> None:
    """Run the draws and write the section."""
    warnings.simplefilter("ignore")
    draws = pd.DataFrame([draw(seed) for seed in range(N_DRAWS)])
    names = {
        "HCR": "the five features",
        "step": "with the wards, encoded by a step",
        "plain": "the same in a pipeline of scikit-learn",
        "wrong": "with the wards, encoded by `fit` and `transform`",
    }
    rows = [
        {
            "columns": text,
            "AUC": round(draws[name].mean(), 3),
            "SD of draws": round(draws[name].std(), 3),
        }
        for name, text in names.items()
    ]
    body = pd.DataFrame(rows).to_markdown(index=False)
    write_section("target_encoding.py", "Clinical columns encoded by the target", body)


if __name__ == "__main__":
    main()
