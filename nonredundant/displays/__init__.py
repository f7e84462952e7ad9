"""Figures of a comparison and of a trained network, as scikit-learn's Display classes.

Each class stores the arrays that it draws. `from_estimator`, `from_comparison`, `from_predictions`
or another `from_…` computes them and draws; `plot(ax)` draws them again. Colours are those of
Okabe and Ito, and series also differ in marker or line, so that figures can be read in grey.
"""

from __future__ import annotations

from nonredundant.displays.atlas import LatentAtlasDisplay, LatentStabilityDisplay
from nonredundant.displays.calibration import CalibrationBandDisplay
from nonredundant.displays.comparison import FeatureSetComparisonDisplay
from nonredundant.displays.correlation import CorrelationMapDisplay
from nonredundant.displays.images import ReconstructionDisplay, TraversalDisplay
from nonredundant.displays.latent_space import LatentSpaceDisplay
from nonredundant.displays.net_benefit import NetBenefitDisplay
from nonredundant.displays.patient_graph import PatientGraphDisplay
from nonredundant.displays.redundancy import RedundancyDisplay
from nonredundant.displays.roc import RocBandDisplay
from nonredundant.displays.selection import SelectionFrequencyDisplay
from nonredundant.displays.stability import StabilityDisplay
from nonredundant.displays.training import LossCurveDisplay, SweepDisplay
from nonredundant.displays.weights import FeatureWeightsDisplay

__all__ = [
    "CalibrationBandDisplay",
    "CorrelationMapDisplay",
    "FeatureSetComparisonDisplay",
    "FeatureWeightsDisplay",
    "LatentAtlasDisplay",
    "LatentSpaceDisplay",
    "LatentStabilityDisplay",
    "LossCurveDisplay",
    "NetBenefitDisplay",
    "PatientGraphDisplay",
    "ReconstructionDisplay",
    "RedundancyDisplay",
    "RocBandDisplay",
    "StabilityDisplay",
    "SelectionFrequencyDisplay",
    "SweepDisplay",
    "TraversalDisplay",
]
