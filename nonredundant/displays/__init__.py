"""Pictures of a comparison and of a trained network, as scikit-learn's Display classes.

Each class stores the arrays that it draws, is made by `from_estimator`, `from_comparison` or
another `from_…`, which draw, and draws again with `plot(ax)`. Colours are Okabe and Ito's, and
series differ in marker or line as well, so that pictures survive grey print.
"""

from __future__ import annotations

from nonredundant._display_atlas import LatentAtlasDisplay, LatentStabilityDisplay
from nonredundant._display_calibration import CalibrationBandDisplay
from nonredundant._display_comparison import FeatureSetComparisonDisplay
from nonredundant._display_correlation import CorrelationMapDisplay
from nonredundant._display_curves import RocBandDisplay
from nonredundant._display_images import ReconstructionDisplay, TraversalDisplay
from nonredundant._display_latent import LatentSpaceDisplay
from nonredundant._display_patients import PatientGraphDisplay
from nonredundant._display_redundancy import RedundancyDisplay
from nonredundant._display_training import LossCurveDisplay, SweepDisplay
from nonredundant._display_weights import FeatureWeightsDisplay

__all__ = [
    "CalibrationBandDisplay",
    "CorrelationMapDisplay",
    "FeatureSetComparisonDisplay",
    "FeatureWeightsDisplay",
    "LatentAtlasDisplay",
    "LatentSpaceDisplay",
    "LatentStabilityDisplay",
    "LossCurveDisplay",
    "PatientGraphDisplay",
    "ReconstructionDisplay",
    "RedundancyDisplay",
    "RocBandDisplay",
    "SweepDisplay",
    "TraversalDisplay",
]
