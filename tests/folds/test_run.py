"""The run: seeds, processes, memory, audit and atlas."""

from __future__ import annotations

import multiprocessing
import os
import signal

import joblib
import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    PLAIN,
    CheapNetwork,
    compare,
    make_table,
)
from disks_for_tests import small_disk
from sklearn.linear_model import LogisticRegression

from nonredundant import NonRedundantCVAE
from nonredundant.displays import RedundancyDisplay
from nonredundant.report import methods_text
from nonredundant.utils.cache import CacheError
from nonredundant.utils.parallel import WorkerDiedError


class CopyingNetwork(CheapNetwork):
    """Stands in for a network whose latents are hand-crafted features, unless it has the term."""

    def transform(self, X):
        if self.independence is None:
            return np.log(X.features.iloc[:, :2].to_numpy())
        return super().transform(X)


def test_an_audit_of_each_learned_block_on_held_out_folds():
    table, y = make_table(150)
    sets = ["DLR", "HCR+DLR-MI"]
    found = compare(table, y, cvae=CopyingNetwork(), audit=("dcor",), feature_sets=sets)
    report = found.redundancy.set_index("feature_set")
    assert list(report.index) == ["DLR", "DLR-MI"]
    # No permuted copy of 200 depends on the features as the latents that are features do.
    assert report.loc["DLR", "p_value"] == pytest.approx(1 / 201)
    assert report.loc["DLR-MI", "estimate"] < report.loc["DLR-MI", "null_95"]
    held = found.latents["DLR"].query("fold == 0")
    rows = table.index.get_indexer(held.index)
    expected = np.log(table.features.iloc[rows, :2].to_numpy())
    np.testing.assert_allclose(held.drop(columns="fold"), expected)


class ClinicalNetwork(CheapNetwork):
    """Stands in for a network that is asked not to repeat clinical columns, and does."""

    def __init__(
        self,
        dlr_size=3,
        *,
        independence="dcor",
        independent_of=("hcr",),
        output="fused",
        random_state=None,
    ):
        super().__init__(
            dlr_size, independence=independence, output=output, random_state=random_state
        )
        self.independent_of = independent_of


def test_the_audit_asks_about_all_that_is_known():
    table, y = make_table(150)
    difference = CheapNetwork(1).fit(table).transform(table)[:, 0]
    joined = table.join(pd.DataFrame({"marker": difference}))
    shared = {}
    for blocks in (("hcr",), ("hcr", "clinical"), ("clinical",)):
        cvae = ClinicalNetwork(independent_of=blocks)
        found = compare(joined, y, audit=("r2-ridge",), feature_sets=["HCR+DLR"], cvae=cvae)
        shared[blocks] = found.redundancy["estimate"].iloc[0]
    # The marker is one of nine columns, whatever the network was kept independent of.
    assert len(set(shared.values())) == 1
    without = compare(table, y, audit=("r2-ridge",), feature_sets=["HCR+DLR"], cvae=cvae)
    assert without.redundancy["estimate"].iloc[0] + 0.05 < shared["hcr",] < 0.3


def test_the_atlas_is_of_the_network_with_the_term_and_of_lesions_that_it_did_not_see():
    table, y = make_table(40)
    cvae = NonRedundantCVAE(2, max_epochs=2, device="cpu")
    found = compare(table, y, feature_sets=["HCR+DLR", "HCR+DLR-MI"], cvae=cvae, cv=2)
    held = found.latents["DLR-MI"].query("fold == 0").drop(columns="fold")
    np.testing.assert_allclose(found.atlas.table["variance"], held.var(ddof=0), rtol=1e-5)
    assert found.atlas.maps.shape == (2, 1, 8, 8)
    assert compare(table, y, feature_sets=["HCR"]).atlas is None


def test_the_atlas_is_drawn_of_a_network_of_picked_columns(cohort):
    cvae = NonRedundantCVAE(dlr_size=2, max_epochs=1, network={"width": 4}, device="cpu")
    found = compare(*cohort, cvae=cvae, feature_sets=["H3", "H3+D2-MI"])
    assert found.atlas.table["latent"].tolist() == ["dlr00", "dlr01"]
    assert set(found.atlas.correlations["feature"]) == set(cohort[0].columns_of("hcr"))


def test_the_seed_fixes_everything(cohort):
    settings = {"classifiers": ["LR", "RF"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    first, second = (compare(*cohort, **settings) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, second.scores)
    other = compare(*cohort, random_state=1, **settings)
    assert not other.scores["score"].equals(first.scores["score"])


@pytest.mark.parametrize("given", [7, None])
def test_the_seed_that_is_reported_makes_the_same_run(cohort, given):
    settings = {"classifiers": ["LR"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    first = compare(*cohort, random_state=given, **settings)
    assert given in (first.settings.seed, None)
    again = compare(*cohort, random_state=first.settings.seed, **settings)
    pd.testing.assert_frame_equal(first.scores, again.scores)


def test_results_do_not_depend_on_the_number_of_processes(cohort):
    settings = {"classifiers": ["LR", "RF"], "feature_sets": ["HCR+DLR-MI"], "cv": 2}
    one = compare(*cohort, n_jobs=1, **settings)
    two = compare(*cohort, n_jobs=2, **settings)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    pd.testing.assert_frame_equal(one.scores, two.scores)


class Fragile(CheapNetwork):
    """Breaks at its fourth fit, as an interrupted run does."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        if type(self).fits == 4:
            raise KeyboardInterrupt
        return super().fit(X, y)


def test_an_interrupted_run_continues(cohort, tmp_path):
    settings = {"cvae": Fragile(), "memory": joblib.Memory(tmp_path, verbose=0)}
    with pytest.raises(KeyboardInterrupt):
        compare(*cohort, **settings)
    compare(*cohort, **settings)
    # (3 folds + the whole cohort) × 2 variants; only the fit that broke was tried twice.
    assert Fragile.fits == 9


def test_another_table_is_not_served_from_memory(cohort, tmp_path):
    table, y = cohort
    first = compare(table, y, feature_sets=["DLR"], memory=str(tmp_path))
    moved = table.replace(patches=table.patches[::-1].copy())
    second = compare(moved, y, feature_sets=["DLR"], memory=str(tmp_path))
    assert not first.scores["score"].equals(second.scores["score"])


def test_each_variant_is_fitted_once_a_fold(cohort):
    class Counting(CheapNetwork):
        seen = []

        def fit(self, X, y=None):
            self.seen.append((self.independence, tuple(X.index)))
            return super().fit(X, y)

    compare(*cohort, cvae=Counting(), classifiers={**PLAIN, "other": LogisticRegression()})
    assert len(Counting.seen) == len(set(Counting.seen)) == (3 + 1) * 2
    assert {term for term, _ in Counting.seen} == {None, "dcor"}


def test_an_audit_that_no_fold_allows_says_why():
    table, y = make_table(100)
    hospitals = np.repeat(np.arange(5), 20)
    found = compare(
        table, y, audit=("dcor",), groups=hospitals, cv=5, feature_sets=["HCR", "HCR+DLR-MI"]
    )
    assert found.redundancy["estimate"].isna().all()
    assert "fewer than" in found.redundancy["detail"].iloc[0]
    assert "was not audited: each fold holds out fewer than" in found.answer()


@pytest.mark.parametrize(("n", "audited"), [(48, True), (30, False)])
def test_folds_of_few_samples_are_left_out_of_the_audit_or_it_says_why(n, audited, tmp_path):
    table, y = make_table(n)
    found = compare(table, y, audit=("dcor",), cv=5, feature_sets=["HCR", "HCR+DLR-MI"])
    reason = "was not audited: each fold holds out fewer than 10 samples; use fewer folds."
    assert found.redundancy["estimate"].notna().all() == audited
    assert (reason in found.answer()) != audited
    found.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert ("use fewer folds" in page) != audited
    # Nothing says, or draws, that a dependence was measured which was not.
    assert ("no more than chance" in page) == audited
    assert ("was measured on held-out patients" in methods_text(found)) == audited
    if not audited:
        with pytest.raises(ValueError, match="no audit to draw: each fold holds out fewer"):
            RedundancyDisplay.from_comparison(found)


class Deadly(LogisticRegression):
    """A classifier that ends the process that fits it."""

    def fit(self, X, y, sample_weight=None):
        if multiprocessing.current_process().name != "MainProcess":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)


def test_a_fit_that_kills_its_process_is_named(cohort):
    with (
        pytest.warns(UserWarning, match=r"computing the classifiers was killed \(SIGKILL"),
        pytest.raises(WorkerDiedError, match=r"process of HCR with mine in fold 0 of repeat 0 was"),
    ):
        compare(*cohort, feature_sets=["HCR"], classifiers={"mine": Deadly()}, cv=2, n_jobs=2)


def test_a_full_disk_is_an_error_that_names_the_memory(cohort, tmp_path):
    settings = {"feature_sets": ["HCR"], "classifiers": ["LR"], "cv": 3}
    with small_disk(tmp_path / "disk", "16k") as disk:
        with pytest.raises(CacheError, match="the cache .*disk.joblib could not be written"):
            compare(*cohort, memory=disk, **settings)
        assert all(path.name == "output.pkl" for path in disk.rglob("output.pkl*"))
