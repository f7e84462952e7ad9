"""The sentence with which the demonstration ends."""

from __future__ import annotations

import pandas as pd

from nonredundant.cli.demo import redundancy_sentence


def test_audit_is_summarised_without_and_with_the_term():
    table = pd.DataFrame(
        {
            "feature_set": ["DLR", "DLR-MI"] * 2,
            "method": ["dcor", "dcor", "r2-ridge", "r2-ridge"],
            "estimate": [0.5, 0.2, 0.4, 0.0],
            "null_mean": [0.11, 0.1, -0.03, -0.02],
        }
    )
    assert redundancy_sentence(table) == (
        "Redundancy of deep with hand-crafted features, found by newly trained estimators on "
        "held-out samples: distance correlation 0.50 without and 0.20 with the independence term "
        "(0.10 by chance); R² by ridge 0.40 without and 0.00 with the independence term "
        "(0.00 by chance)."
    )
