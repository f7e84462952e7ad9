"""Extraction, comparison and grid search on Dask and Ray: unchanged, also when a worker dies."""

from __future__ import annotations

import contextlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from cases_for_tests import assert_same, cohort, quick
from clusters_for_tests import FLAG, make_mortal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, compare_feature_sets

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:.*features are constant")


def mortal_workers(flag):
    """Return the plugin of Dask's workers, also of those that replace a dead one."""
    from distributed import WorkerPlugin

    class Mortal(WorkerPlugin):
        def setup(self, worker):
            make_mortal(flag)

    return Mortal()


@contextlib.contextmanager
def dask_cluster(folder, **options):
    """Start workers, of which one will be killed if they are processes."""
    distributed = pytest.importorskip("distributed")
    import dask

    # A busy machine starts processes slowly.
    patient = dask.config.set({"distributed.comm.timeouts.connect": "60s"})
    options = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None, **options}
    with (
        patient,
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        if options.get("processes", True):
            client.register_plugin(mortal_workers(str(folder / "flag")))
        with joblib.parallel_config("dask"):
            yield


@contextlib.contextmanager
def ray_cluster(folder):
    """Start workers, of which one will be killed."""
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={
            "env_vars": {"PYTHONPATH": str(TESTS), FLAG: str(folder / "flag")},
            "worker_process_setup_hook": "clusters_for_tests.make_mortal",
        },
    )
    try:
        register_ray()
        options = {"max_restarts": 3, "max_task_retries": 3}
        with joblib.parallel_config("ray", n_jobs=2, ray_remote_args=options):
            yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def one_dies(folder):
    """Let one worker be killed in the block, and check that it was."""
    flag = folder / "flag"
    with contextlib.suppress(ImportError, ValueError):
        from distributed import default_client

        # With one worker left, joblib would run the tasks here.
        default_client().wait_for_workers(3)
    flag.touch()
    yield
    assert not flag.exists()


def searched(cases):
    """Return the scores of a grid search over a pipeline from images to predictions."""
    pipeline = make_pipeline(quick(), StandardScaler(), LogisticRegression())
    grid = {"logisticregression__C": [0.01, 1.0], "radiomicsextractor__bin_width": [0.1, 0.2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(cases, np.arange(len(cases)) % 2)
    return search.cv_results_["mean_test_score"]


def compared(table):
    """Return the scores of a comparison."""
    found = compare_feature_sets(
        table,
        np.arange(len(table)) % 2,
        feature_sets=("HCR", "HCR+DLR-MI"),
        classifiers={"LR": LogisticRegression()},
        cv=2,
        n_repeats=1,
        baselines=False,
        cvae=NonRedundantCVAE(dlr_size=2, max_epochs=1, random_state=0),
        audit=False,
        random_state=0,
    )
    return found.scores


def check_extraction(folder, die):
    """Extract to memory and to a store, and compare with one process."""
    cases = cohort(12)
    with joblib.parallel_config("sequential"):
        expected = quick().fit_transform(cases)
    with die(folder):
        assert_same(expected, quick().fit_transform(cases))
    with die(folder):
        assert_same(expected, quick().to_store(cases, folder / "store", batch_size=2))
    names = [one.name.split("-")[1] for one in (folder / "store" / "parts").iterdir()]
    assert len(set(names)) == len(names) == 6


def check_models(folder, die, searching=lambda cases: contextlib.nullcontext()):
    """Compare and search, in the context `searching`, and compare with one process."""
    cases = cohort(16)
    with joblib.parallel_config("sequential"):
        table = quick().to_store(cases, folder / "lesions", batch_size=3)
        scores, search = compared(table), searched(cases)
    with die(folder):
        pd.testing.assert_frame_equal(compared(table), scores)
    with die(folder), searching(cases):
        np.testing.assert_array_equal(searched(cases), search)


@contextlib.contextmanager
def none_dies(folder):
    """Kill no worker."""
    yield


def test_dask_in_threads(tmp_path):
    with dask_cluster(tmp_path, processes=False, n_workers=1):
        check_extraction(tmp_path, none_dies)


def test_a_backend_without_a_stream_of_results(tmp_path):
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        check_extraction(tmp_path, none_dies)


@pytest.mark.slow
def test_dask_with_a_worker_that_is_killed(tmp_path):
    with dask_cluster(tmp_path):
        check_extraction(tmp_path, one_dies)


@pytest.mark.slow
def test_models_on_dask_with_a_worker_that_is_killed(tmp_path):
    def everywhere(cases):
        # Else joblib places the data of the search on a single worker, with which they are lost.
        return joblib.parallel_config("dask", scatter=[cases])

    with dask_cluster(tmp_path):
        check_models(tmp_path, one_dies, everywhere)


@pytest.mark.slow
def test_ray_with_a_worker_that_is_killed(tmp_path):
    with ray_cluster(tmp_path):
        check_extraction(tmp_path, one_dies)
        check_models(tmp_path, one_dies)
