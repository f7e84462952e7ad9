"""Compare the numbers of two versions of the package on fixed seeds.

Run it once per version and compare the two files:

    python benchmarks/reproducibility.py --write before.npz
    python benchmarks/reproducibility.py --write after.npz --compare before.npz

It covers extraction of the `sts` cohort (of phantoms where that cohort is not available), one fit
of `NonRedundantCVAE`, comparisons of feature sets (with the audit; with clinical columns, groups
and a test set, from images; of patients with several lesions and a graph; of times to an event),
the second of them also twice through `memory`, a saved model and one fit of a lesion graph. It
exits with 1 if any number differs by more than 1e-12 relative to its scale.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import nonredundant as nr
from nonredundant.datasets import fetch_sts, make_lesions, make_survival_times
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.patients import LesionGraphClassifier

TOLERANCE = 1e-12


def numbers_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the numeric columns of a table."""
    numeric = frame.select_dtypes("number")
    return {str(name): numeric[name].to_numpy(dtype=float) for name in numeric.columns}


def extraction() -> dict[str, np.ndarray]:
    """Extract features and patches of `sts`."""
    try:
        cases = fetch_sts().data
    except OSError as error:
        print(f"sts is not available ({error}); extracting phantoms", file=sys.stderr)
        cases, *_ = make_lesions(51, random_state=0)
    lesions = nr.RadiomicsExtractor(modality="PET", patch_shape=(16, 16, 16)).transform(cases)
    return {
        "features": lesions.features.to_numpy(dtype=float),
        "patches": lesions.patches,
        "masks": lesions.masks,
        "positions": lesions.positions,
    }


def phantoms(n_samples: int, **options) -> tuple[nr.LesionTable, np.ndarray]:
    """Extract phantoms with small patches."""
    cases, y, _ = make_lesions(n_samples, random_state=0, **options)
    extractor = nr.RadiomicsExtractor(
        modality="PET",
        patch_shape=(16, 16, 16),
        feature_classes=["shape", "firstorder"],
        lesions="labels" if "n_lesions" in options else "label",
    )
    return extractor.transform(cases), np.asarray(y)


def cvae() -> dict[str, np.ndarray]:
    """Fit the network without and with labels."""
    lesions, y = phantoms(80)
    found = {}
    for gamma in (0.0, 1.0):
        model = nr.NonRedundantCVAE(
            dlr_size=6, gamma=gamma, max_epochs=4, batch_size=32, random_state=0
        ).fit(lesions, y)
        found[f"fused, gamma={gamma:g}"] = np.asarray(model.transform(lesions))
        found[f"score, gamma={gamma:g}"] = np.asarray(model.score(lesions))
        history = model.history_
        for name, values in numbers_of(history).items():
            # Seconds are not reproducible.
            if "dur" not in name and "second" not in name:
                found[f"history {name}, gamma={gamma:g}"] = values
    return found


def tables_of(comparison: nr.FeatureSetComparison) -> dict[str, np.ndarray]:
    """Return the numeric columns of the tables of a comparison."""
    names = (
        "scores",
        "summary",
        "tests",
        "redundancy",
        "predictions",
        "added_information",
        "choices",
        "weights",
    )
    return {
        f"{name} {column}": values
        for name in names
        for column, values in numbers_of(getattr(comparison, name)).items()
    }


def comparison() -> dict[str, np.ndarray]:
    """Compare feature sets on phantoms, with the audit."""
    lesions, y = phantoms(80)
    return tables_of(
        nr.compare_feature_sets(
            lesions,
            y,
            cvae=nr.NonRedundantCVAE(dlr_size=4, max_epochs=3, batch_size=32),
            feature_sets=["HCR", "DLR-MI", "HCR+DLR", "HCR+DLR-MI", "H4", "H4+D3-MI"],
            classifiers=("LR", "SVM"),
            cv=3,
            random_state=0,
        )
    )


def clinical_cases(n_samples: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw phantoms with an age, a sex, both with gaps, and a hospital."""
    cases, y, _ = make_lesions(n_samples, random_state=seed)
    rng = np.random.default_rng(seed)
    age = 60 + 10 * rng.normal(size=n_samples) + 3 * np.asarray(y)
    return cases.set_axis([f"s{seed}-{i}" for i in range(n_samples)], axis=0).assign(
        age=np.where(rng.uniform(size=n_samples) < 0.1, np.nan, age),
        sex=rng.choice(["F", "M"], n_samples),
        hospital=rng.integers(0, 20, n_samples),
    ), np.asarray(y)


def clinical() -> dict[str, np.ndarray]:
    """Compare from images, with clinical columns, groups, a test set and a memory."""
    cases, y = clinical_cases(60, 1)
    test, y_test = clinical_cases(30, 2)
    encoder = ColumnTransformer(
        [
            ("age", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("sex", OneHotEncoder(drop="if_binary"), ["sex"]),
        ]
    )
    options = {
        "extractor": nr.RadiomicsExtractor(
            patch_shape=(8, 8, 8), feature_classes=["shape", "firstorder"], clinical=encoder
        ),
        "cvae": nr.NonRedundantCVAE(dlr_size=3, max_epochs=2, batch_size=32),
        "random_state": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            nr.compare_feature_sets(
                cases,
                y,
                groups=cases["hospital"].to_numpy(),
                test=(test, y_test),
                feature_sets=["HCR", "H3", "HCR+DLR-MI", "H3+D2"],
                classifiers=("LR", "RF"),
                cv=3,
                n_repeats=1,
                memory=folder,
                **options,
            )
            for _ in range(2)
        )
    model = FeatureSetClassifier("HCR+DLR-MI", **options).fit(cases, y)
    return {
        **tables_of(first),
        **{f"again, {name}": values for name, values in tables_of(second).items()},
        "saved model": model.predict_proba(test),
    }


def patients() -> dict[str, np.ndarray]:
    """Compare on patients with several lesions, pooled and as a graph."""
    lesions, y = phantoms(45, n_lesions=3)
    return tables_of(
        nr.compare_feature_sets(
            lesions,
            y,
            cvae=nr.NonRedundantCVAE(dlr_size=3, max_epochs=2, batch_size=32),
            feature_sets=["HCR", "HCR+DLR-MI"],
            patients=LesionGraphClassifier(max_epochs=3),
            classifiers=("LR",),
            cv=3,
            n_repeats=1,
            random_state=0,
        )
    )


def survival() -> dict[str, np.ndarray]:
    """Compare on times to an event."""
    lesions, _ = phantoms(60)
    times = make_survival_times(make_lesions(60, random_state=0)[2], random_state=0)
    return tables_of(
        nr.compare_feature_sets(
            lesions,
            times,
            cvae=nr.NonRedundantCVAE(dlr_size=3, max_epochs=2, batch_size=32),
            feature_sets=["HCR", "H4", "HCR+DLR-MI"],
            classifiers=("Cox",),
            cv=3,
            n_repeats=1,
            random_state=0,
        )
    )


def graph() -> dict[str, np.ndarray]:
    """Fit a graph of several lesions per patient."""
    lesions, y = phantoms(60, n_lesions=3)
    model = LesionGraphClassifier(max_epochs=5, random_state=0).fit(lesions, y)
    return {"probability": model.predict_proba(lesions)}


PARTS = {
    "extraction": extraction,
    "cvae": cvae,
    "comparison": comparison,
    "clinical": clinical,
    "patients": patients,
    "survival": survival,
    "graph": graph,
}


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference relative to the scale of the values, infinite if unlike."""
    if one.shape != other.shape or not (np.isnan(one) == np.isnan(other)).all():
        return np.inf
    one, other = np.nan_to_num(one), np.nan_to_num(other)
    if not one.size:
        return 0.0
    scale = np.maximum(1.0, np.abs(one))
    return float((np.abs(one - other) / scale).max())


def report(found: dict[str, np.ndarray], before: Path) -> bool:
    """Print the largest difference per part; return whether all are within the tolerance."""
    same = True
    with np.load(before) as old:
        for part in PARTS:
            own = [name for name in old.files if name.startswith(f"{part}/")]
            missing = [name for name in own if name not in found]
            worst = max(
                (
                    largest_difference(old[n].astype(float), found[n].astype(float))
                    for n in own
                    if n in found
                ),
                default=np.nan,
            )
            print(f"{part:12} {len(own):3} arrays, largest relative difference {worst:.1e}")
            if missing:
                print(f"{'':12} missing now: {', '.join(missing)}")
            same &= bool(worst <= TOLERANCE) and not missing
    return same


def main() -> int:
    """Run the parts, write their numbers and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("reproducibility.npz"))
    parser.add_argument("--compare", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = {
        f"{part}/{name}": np.asarray(values)
        for part, make in PARTS.items()
        for name, values in make().items()
    }
    np.savez_compressed(options.write, **found)
    print(f"{len(found)} arrays written to {options.write}")
    if options.compare is None:
        return 0
    return 0 if report(found, options.compare) else 1


if __name__ == "__main__":
    sys.exit(main())
