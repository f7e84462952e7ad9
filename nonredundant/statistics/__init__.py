"""Intervals and paired tests of the scores of predictions."""

from __future__ import annotations

from nonredundant.statistics.added_information import AddedInformation, added_information
from nonredundant.statistics.calibration import (
    calibration_of_times,
    calibration_summary,
    net_benefit,
    operating_point,
    sensitivity_specificity,
)
from nonredundant.statistics.conformal import conformal_p_values
from nonredundant.statistics.cross_validation import (
    cross_validated_auc,
    cross_validated_auc_difference,
)
from nonredundant.statistics.delong import delong_interval, delong_test
from nonredundant.statistics.development_size import development_size
from nonredundant.statistics.estimates import Difference, Estimate
from nonredundant.statistics.explained_variance import (
    cross_validated_r2,
    cross_validated_r2_difference,
)
from nonredundant.statistics.heterogeneity import (
    Heterogeneity,
    heterogeneity,
    mean_over_centres,
)
from nonredundant.statistics.intraclass import IntraclassCorrelation, intraclass_correlation
from nonredundant.statistics.multiplicity import holm
from nonredundant.statistics.probability_differences import probability_differences
from nonredundant.statistics.resampling import (
    bootstrap_interval,
    paired_bootstrap,
    resampled_interval,
    resampled_test,
)
from nonredundant.statistics.selection_stability import selection_stability
from nonredundant.statistics.sensitivity import unseen_share
from nonredundant.statistics.survival import compare_concordance, concordance_index

__all__ = [
    "AddedInformation",
    "Difference",
    "Estimate",
    "Heterogeneity",
    "IntraclassCorrelation",
    "added_information",
    "bootstrap_interval",
    "calibration_of_times",
    "calibration_summary",
    "compare_concordance",
    "concordance_index",
    "conformal_p_values",
    "cross_validated_auc",
    "cross_validated_auc_difference",
    "cross_validated_r2",
    "cross_validated_r2_difference",
    "delong_interval",
    "delong_test",
    "development_size",
    "heterogeneity",
    "holm",
    "intraclass_correlation",
    "mean_over_centres",
    "net_benefit",
    "operating_point",
    "paired_bootstrap",
    "probability_differences",
    "resampled_interval",
    "resampled_test",
    "selection_stability",
    "sensitivity_specificity",
    "unseen_share",
]
