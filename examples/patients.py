"""Patients with many lesions, from NIfTI files to a prediction: pooling beside the graph.

Writes a cohort of phantoms as NIfTI with a case table, as yours would lie on disk, measures every
lesion, compares ways from lesions to patients by cross-validation, and draws what the graph looked
at. Run `python examples/patients.py -o cohort` (a few minutes); your own cohort needs the last
three steps only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import SimpleITK as sitk
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import PatientGraphDisplay
from nonredundant.patients import LesionGraphClassifier, LesionPooling


def write_cohort(folder: Path, n_patients: int) -> Path:
    """Write images, masks and a case table; the label is told by the two hottest lesions."""
    cases, y, _truth = make_lesions(
        n_patients,
        n_lesions=(2, 10),
        visible_effect=0.0,
        hidden_effect=0.0,
        worst_effect=1.0,
        relational_effect=4.0,
        clinical_effect=1.0,
        spacing=3.0,
        random_state=0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, case in cases.iterrows():
        row = {"case": name, "age": case["age"], "weight": case["weight"]}
        for role in ("image", "mask"):
            volume = sitk.GetImageFromArray(case[role])
            volume.SetSpacing(case["spacing"])
            row[role] = f"{name}_{role}.nii.gz"
            sitk.WriteImage(volume, folder / row[role])
        rows.append(row)
    table = folder / "cases.csv"
    pd.DataFrame(rows).assign(relapse=y).to_csv(table, index=False)
    return table


def measure(path: Path, jobs: int) -> tuple[LesionTable, np.ndarray]:
    """Measure each connected component of the masks as a lesion of its own."""
    cases = pd.read_csv(path, index_col="case")
    extractor = RadiomicsExtractor(
        modality="PET",
        feature_classes={
            "firstorder": ["Mean", "Maximum", "Entropy"],
            "shape": ["VoxelVolume", "Sphericity"],
        },
        patch_shape=None,
        lesions="components",
        clinical=["age", "weight"],
        root=path.parent,
        n_jobs=jobs,
    )
    return extractor.fit_transform(cases), cases["relapse"].to_numpy()


def compare(lesions: LesionTable, y: np.ndarray) -> pd.DataFrame:
    """Return the cross-validated AUC of each way from lesions to patients, on the same folds."""
    ways = {
        f"pooling: {how}": make_pipeline(
            LesionPooling(how), SimpleImputer(), StandardScaler(), LogisticRegression(C=0.1)
        )
        for how in ("mean", "max", "largest", "volume")
    }
    ways["graph"] = LesionGraphClassifier(random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = {
        name: cross_val_score(way, lesions, y, cv=folds, scoring="roc_auc", error_score="raise")
        for name, way in ways.items()
    }
    return pd.DataFrame(scores).agg(["mean", "std"]).T


def draw(lesions: LesionTable, y: np.ndarray, folder: Path) -> tuple[pd.DataFrame, Path]:
    """Return the attention of a graph that did not see the first patient, and its picture."""
    graph = LesionGraphClassifier(random_state=0).fit(lesions[1:], y[1:])
    first = lesions[:1]
    display = PatientGraphDisplay.from_estimator(
        graph, first, image=folder / f"{first.index[0]}_image.nii.gz"
    )
    picture = folder / "graph.png"
    display.figure_.savefig(picture, dpi=120)
    return graph.explain(first), picture


def main() -> None:
    """Write, measure, compare, explain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("cohort"))
    parser.add_argument("-n", "--patients", type=int, default=150)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    arguments = parser.parse_args()
    mpl.use("Agg")
    path = write_cohort(arguments.output, arguments.patients)
    lesions, y = measure(path, arguments.jobs)
    print(lesions)
    print(f"\nAUC over 5 folds\n{compare(lesions, y).round(3).to_string()}")
    weights, picture = draw(lesions, y, arguments.output)
    strongest = weights[weights["kind"].isin(["lesion", "clinical"])].sort_values(
        "weight", ascending=False
    )
    shown = strongest[["kind", "lesion", "variable", "weight"]].head(6)
    print(f"\nWhat the graph looked at in {lesions.index[0]}\n{shown.to_string(index=False)}")
    print(f"\nThe patient's graph: {picture}")


if __name__ == "__main__":
    main()
