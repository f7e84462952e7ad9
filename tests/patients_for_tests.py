"""Patients with several lesions, and a small graph of them, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant import LesionTable
from nonredundant.patients import LesionGraphClassifier


def make_cohort(counts, *, seed=0, effect="worst", n_noise=2):
    """Return patients with so many lesions each, whose label depends on the hottest ones."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(len(counts)), counts)
    uptake, positions = rng.exponential(size=len(sample)), rng.uniform(0, 200, (len(sample), 3))
    age = rng.normal(60, 10, size=len(counts))
    frame = pd.DataFrame({"uptake": uptake, "age": age[sample], "weight": 70.0 + sample % 7})
    frame[[f"noise{i}" for i in range(n_noise)]] = rng.normal(size=(len(sample), n_noise))
    told = []
    for i in range(len(counts)):
        hottest = np.flatnonzero(sample == i)[np.argsort(-uptake[sample == i])][:2]
        far = np.linalg.norm(positions[hottest[0]] - positions[hottest[-1]])
        told.append({"worst": uptake[hottest[0]], "relation": far}[effect])
    y = np.where(told > np.median(told), "relapse", "free")
    table = LesionTable(
        frame,
        blocks={"age": "clinical", "weight": "clinical"},
        sample=sample,
        positions=positions,
        index=[f"p{i:03d}" for i in range(len(counts))],
    )
    return table, y


def mixed(n=40, seed=0, **settings):
    counts = np.random.default_rng(seed).integers(1, 7, size=n)
    return make_cohort(counts, seed=seed, **settings)


def make_graph(**parameters):
    defaults = {"hidden_size": 8, "heads": 2, "max_epochs": 3, "random_state": 0, "device": "cpu"}
    return LesionGraphClassifier(**{**defaults, **parameters})


def shuffled(table, seed=0):
    """Return the table with the lesions of each patient in another order."""
    order = np.lexsort((np.random.default_rng(seed).random(table.n_lesions), table.sample))
    return table.replace(features=table.features.iloc[order], positions=table.positions[order])
