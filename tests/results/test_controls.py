"""The negative controls of a comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import PLAIN, TIMES, CheapNetwork, compare, make_table

from nonredundant.results.controls import N_DRAWS, random_functions

SETS = {"classifiers": PLAIN, "feature_sets": ["HCR", "HCR+DLR-MI"], "controls": True}


class Trained(CheapNetwork):
    """Stands in for a network that finds nothing in steps of no size."""

    def __init__(
        self,
        dlr_size=3,
        *,
        independence="dcor",
        output="fused",
        random_state=None,
        max_epochs=5,
        lr=0.1,
    ):
        super().__init__(
            dlr_size, independence=independence, output=output, random_state=random_state
        )
        self.max_epochs, self.lr = max_epochs, lr

    def transform(self, X):
        if self.lr > 1e-6:
            return super().transform(X)
        return np.random.default_rng(0).normal(size=(len(X.features), self.dlr_size))


def test_what_training_found_is_not_in_the_untrained_network():
    table, y = make_table(90)
    found = compare(table, y, cvae=Trained(), **SETS)
    untrained = found.controls.set_index("control").loc["untrained network"]
    assert untrained["n_draws"] == 1
    assert untrained["p_value"] > 0.05
    assert found.findings()["helps"].verdict == "gain"


def test_controls_of_sound_data_claim_no_more_than_chance():
    table, y = make_table(90)
    found = compare(table, y, cvae=CheapNetwork(), **SETS).controls
    assert found["control"].tolist() == ["permuted outcome", "functions of the known columns"]
    assert (found["n_draws"] == N_DRAWS).all()
    # Of ten draws at 5 % three or more have a probability of .012.
    assert (found["n_claims"] < 3).all()
    assert (found["p_value"] > 0).all()


def test_controls_follow_the_seed_and_not_the_number_of_processes():
    table, y = make_table(60)
    tables = [compare(table, y, n_jobs=n_jobs, **SETS).controls for n_jobs in (1, 2)]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("kind", ["times", "three classes", "groups"])
def test_controls_of_other_outcomes_and_of_groups(kind):
    table, y = make_table(60)
    more = {}
    if kind == "times":
        rng = np.random.default_rng(0)
        pairs = zip(y.astype(bool), rng.exponential(size=60), strict=True)
        y, more = np.array(list(pairs), dtype=TIMES), {"classifiers": "Cox"}
    elif kind == "three classes":
        y, more = np.arange(60) % 3, {"scoring": "roc_auc_ovr"}
    else:
        more = {"groups": np.arange(60) // 2, "cv": 3}
    found = compare(table, y, **{**SETS, **more}).controls
    assert (found["n_draws"] == N_DRAWS).all()


def test_without_learned_features_there_are_no_controls():
    table, y = make_table(60)
    assert compare(table, y, classifiers=PLAIN, feature_sets=["HCR"], controls=True).controls.empty


def test_random_functions_are_curved_functions_of_the_columns():
    rng = np.random.RandomState(0)
    known = rng.normal(size=(400, 3))
    known[0, 0] = np.nan
    values = random_functions(known, 2, rng)
    again = random_functions(known, 2, np.random.RandomState(1))
    assert values.shape == (400, 2)
    assert not np.allclose(values, again)
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import cross_val_score

    x = np.nan_to_num(known)
    linear, trees = (
        cross_val_score(model, x, values[:, 0], scoring="r2").mean()
        for model in (LinearRegression(), ExtraTreesRegressor(random_state=0))
    )
    assert trees > max(linear, 0.5)
