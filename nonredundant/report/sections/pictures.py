"""Section: figures of predictions, weights, latents and training."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import PredictionErrorDisplay

from nonredundant.displays.latent_space import LatentSpaceDisplay
from nonredundant.displays.roc import RocBandDisplay
from nonredundant.displays.training import LossCurveDisplay
from nonredundant.displays.weights import FeatureWeightsDisplay
from nonredundant.report.descriptions import where_predicted
from nonredundant.report.figures import Drawing, draw_with
from nonredundant.report.section import Section


def _figures(comparison: Any) -> list[Drawing]:
    """Draw what the comparison has data for."""
    weights = comparison.weights
    own = weights[weights["feature_set"] == comparison.primary["feature_set"]]
    wanted = [
        (len(comparison.settings.classes) == 2, _roc(comparison)),
        (comparison.settings.kind == "numbers", _numbers(comparison)),
        (own["block"].nunique() == 2, _WEIGHTS),
        (bool(comparison.latents), _LATENTS),
        (comparison.atlas is not None, _ATLAS),
        (len(comparison.history) > 0, _LOSSES),
    ]
    return [drawing for has_data, drawing in wanted if has_data]


def _roc(comparison: Any) -> Drawing:
    """Draw the ROC curves."""
    return Drawing(
        "roc",
        "ROC curves",
        f"ROC curves on {where_predicted(comparison.settings)}, of the two sets of the primary "
        "comparison. Bands: 95 % of the curves of bootstrap samples. Dotted: chance.",
        draw_with(RocBandDisplay),
    )


def _numbers(comparison: Any) -> Drawing:
    """Draw predicted beside true numbers."""
    return Drawing(
        "numbers",
        "Predicted numbers",
        "Predictions of the set of the primary comparison on "
        f"{where_predicted(comparison.settings)}, each sample's mean over the repeats, beside the "
        "truth. Dashed: as they should be.",
        _draw_numbers,
    )


def _draw_numbers(comparison: Any) -> Any:
    """Draw the primary set's predictions with scikit-learn's display."""
    primary, table = comparison.primary, comparison.predictions
    own = table[
        (table["feature_set"] == primary["feature_set"])
        & (table["classifier"] == primary["classifier"])
    ]
    mean = own.groupby("sample")[["y", "score"]].mean()
    display = PredictionErrorDisplay.from_predictions(
        mean["y"], mean["score"], kind="actual_vs_predicted", subsample=None
    )
    return display.figure_


_WEIGHTS = Drawing(
    "weights",
    "Weights of the features",
    "Left: absolute weight of each feature in the fused model, mean and range over the fold "
    "models, hand-crafted and learned features separately. Right: how many of the largest weights "
    "belong to learned features, against chance.",
    draw_with(FeatureWeightsDisplay),
)
_LATENTS = Drawing(
    "latents",
    "Latent space",
    "Learned features of one fold's held-out samples: principal components and, where classes are "
    "large enough, linear discriminants, each sample projected by a fit without it. Each fold "
    "has its own network, so that only one fold is shown.",
    draw_with(LatentSpaceDisplay),
)
_ATLAS = Drawing(
    "atlas",
    "Effect of the latents",
    "Where each latent of the first fold's network changes the image, on the lesions that the fold "
    "held out: mean change when the latent varies by one standard deviation, its share of the "
    "change by all latents, and the hand-crafted feature with the strongest correlation, with "
    "Spearman's coefficient and 95 % interval (n.s.: not significant after Holm's correction).",
    lambda comparison: comparison.atlas.plot().figure_,
)
_LOSSES = Drawing(
    "losses",
    "Training",
    "Each term of the loss over the epochs: mean over the folds' networks, band from the "
    "smallest to the largest. A validation curve that turns upwards shows overfitting.",
    draw_with(LossCurveDisplay),
)

SECTION = Section("pictures", "Further figures", lambda comparison: None, _figures)
