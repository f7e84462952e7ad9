"""What the displays draw: a network with its lesions, a comparison, a sweep, a graph."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cohorts_for_tests import make_table
from sklearn.linear_model import LogisticRegression

from nonredundant import LesionTable, NonRedundantCVAE, compare_feature_sets
from nonredundant.patients import LesionGraphClassifier

mpl.use("Agg")

SETS = ("HCR", "DLR", "HCR+DLR", "HCR+DLR-MI")


@pytest.fixture(scope="session")
def data():
    """Everything that the displays draw: a network, its lesions, a comparison, a sweep."""
    rng = np.random.default_rng(0)
    n = 30
    patches = rng.normal(size=(n, 1, 16, 16)).astype("float32")
    masks = np.zeros((n, 1, 16, 16), dtype=bool)
    masks[:, :, 3:12, 4:14] = True
    h = pd.DataFrame(rng.normal(size=(n, 4)), columns=["volume", "maximum", "energy", "entropy"])
    lesions = LesionTable(h, patches=patches, masks=masks, index=[f"case{i:02d}" for i in range(n)])
    cvae = NonRedundantCVAE(
        dlr_size=4, max_epochs=3, net_params={"validation_fraction": 0.2}, random_state=0
    )
    cvae.fit(lesions)
    table, y = make_table(72)
    found = compare_feature_sets(
        table,
        np.array(["benign", "malignant"])[y],
        cvae=NonRedundantCVAE(
            dlr_size=3,
            max_epochs=3,
            network={"width": 4},
            net_params={"validation_fraction": 0.1},
        ),
        feature_sets=SETS,
        classifiers={"LR": LogisticRegression(C=0.1)},
        baselines=False,
        audit=["dcor", "r2-ridge"],
        cv=3,
        n_repeats=1,
        random_state=0,
    )
    sweep = pd.DataFrame(
        {
            "parameter": ["dlr_size"] * 4 + ["kappa"] * 3,
            "value": [8, 8, 16, np.nan, 0.0, 0.3, np.nan],
            "feature_set": ["HCR+DLR"] * 3 + ["HCR"] + ["HCR+DLR"] * 2 + ["HCR"],
            "score": [0.8, 0.9, 0.88, 0.7, 0.81, 0.84, 0.7],
        }
    )
    y = np.tile([0, 1, 2], n // 3)
    patients, graph, uptake = _patients()
    return SimpleNamespace(
        cvae=cvae,
        lesions=lesions,
        y=y,
        found=found,
        sweep=sweep,
        patients=patients,
        graph=graph,
        uptake=uptake,
    )


def _patients():
    """Return patients, a graph fitted on them, and the first one's image of points."""
    rng = np.random.default_rng(0)
    counts = np.array([5, 1, 3, 2] * 4)
    sample = np.repeat(np.arange(16), counts)
    index = rng.integers(1, [20, 12, 10], size=(len(sample), 3))
    # Axes 1 and 2 point the other way, voxels are not cubes, the first voxel is not at 0.
    uptake = sitk.Image([12, 14, 22], sitk.sitkFloat32)
    uptake.SetSpacing([4.0, 5.0, 6.0])
    uptake.SetOrigin([30.0, -20.0, 100.0])
    uptake.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    for number, (z, y, x) in enumerate(index[:5].tolist()):
        uptake[x, y, z] = 10.0 + number
    positions = [
        uptake.TransformIndexToPhysicalPoint([x, y, z])[::-1] for z, y, x in index.tolist()
    ]
    features = pd.DataFrame(rng.normal(size=(len(sample), 2)), columns=["uptake", "entropy"])
    names = [f"patient{i:02d}" for i in range(16)]
    patients = LesionTable(features, sample=sample, positions=positions, index=names)
    graph = LesionGraphClassifier(max_epochs=2, random_state=0, device="cpu")
    return patients, graph.fit(patients, np.arange(16) % 2), uptake
