"""Parameter checks, random generators and sample names that all phantoms share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state


def check_number(
    name: str, value: Any, *, low: float = 0.0, high: float = math.inf, whole: bool = False
) -> None:
    """Raise unless a parameter is a finite number within its limits."""
    kind = Integral if whole else Real
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not low <= float(value) <= high
    ):
        wanted = "a whole number" if whole else "a finite number"
        limit = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise ValueError(f"{name} must be {wanted} {limit}, got {value!r}.")


def sample_generators(n_samples: int, random_state: Any) -> list[np.random.Generator]:
    """Create one generator per sample, so that sample i does not depend on their number."""
    entropy = check_random_state(random_state).randint(2**31 - 1)
    seeds = (np.random.SeedSequence(entropy, spawn_key=(i,)) for i in range(n_samples))
    return [np.random.default_rng(seed) for seed in seeds]


def sample_names(n_samples: int) -> pd.Index:
    """Name the samples "case000", "case001" and so on."""
    return pd.Index([f"case{i:03d}" for i in range(n_samples)])


def shared_generator(generators: list[np.random.Generator]) -> np.random.Generator:
    """Create the generator of what all samples share, independent of theirs."""
    first: Any = generators[0].bit_generator.seed_seq
    return np.random.default_rng(np.random.SeedSequence(first.entropy, spawn_key=(2**32 - 1,)))
