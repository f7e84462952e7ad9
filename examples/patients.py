"""
How do many lesions become one prediction?
==========================================

Compare pooling and the lesion graph for patients with many lesions, from files to a report.

Writes a cohort of phantoms as NIfTI files with a case table, and runs the command that compares
imaging and clinical features as predictors of relapse, with the lesion graph and with classifiers
on pooled lesions. The report shows patients as graphs, and so does the figure that is saved beside
it. Run `python examples/patients.py -o cohort` (two minutes); for your own cohort, run only the
command.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import SimpleITK as sitk

from nonredundant.cli import app
from nonredundant.datasets import make_lesions
from nonredundant.displays import PatientGraphDisplay
from nonredundant.extraction import RadiomicsExtractor
from nonredundant.patients import LesionGraphClassifier

#: A few features suffice for phantoms.
SETTINGS = """setting:
  binWidth: 0.25
featureClass:
  firstorder: [Mean, Maximum, Entropy]
  shape: [VoxelVolume, Sphericity]
"""


def write_cohort(folder: Path, n_patients: int) -> Path:
    """Write images, masks and a case table; the label depends on the two hottest lesions."""
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
    (folder / "settings.yaml").write_text(SETTINGS, encoding="utf-8")
    return table


def evaluate(table: Path) -> None:
    """Run the command-line comparison."""
    command = (
        f"evaluate {table} --target relapse --settings {table.parent / 'settings.yaml'} "
        "--lesions components --clinical age,weight --patients graph "
        "--feature-sets Clinical,HCR,Clinical+HCR --classifiers LR --no-baselines "
        f"--output {table.parent / 'report'}"
    )
    print(f"nonredundant {command}")
    app(command.split(), standalone_mode=False)


def draw(table: Path) -> Path:
    """Draw the first patient with the attention of a graph that was fitted to the others."""
    cases = pd.read_csv(table, index_col="case")
    extractor = RadiomicsExtractor(
        settings=table.parent / "settings.yaml",
        patch_shape=None,
        lesions="components",
        clinical=["age", "weight"],
        root=table.parent,
    )
    lesions = extractor.fit_transform(cases)
    graph = LesionGraphClassifier(random_state=0).fit(lesions[1:], cases["relapse"].iloc[1:])
    image = table.parent / cases["image"].iloc[0]
    display = PatientGraphDisplay.from_estimator(graph, lesions, row=0, image=image)
    figure = table.parent / "graph.png"
    display.figure_.savefig(figure, dpi=120)
    return figure


def main() -> None:
    """Write the cohort, run the comparison and draw one patient."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("cohort"))
    parser.add_argument("-n", "--patients", type=int, default=150)
    arguments = parser.parse_args()
    mpl.use("Agg")
    table = write_cohort(arguments.output, arguments.patients)
    evaluate(table)
    print(f"Graph of one patient: {draw(table)}")


if __name__ == "__main__":
    main()
