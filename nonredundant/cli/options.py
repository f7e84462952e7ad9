"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Cases = Annotated[
    Path, typer.Argument(help="CSV with the columns image, mask and others.", metavar="CASES.csv")
]
Root = Annotated[
    Path | None,
    typer.Option(
        help="Folder that relative paths of the CSV start from and may not leave; by default that "
        "of the CSV.",
        metavar="FOLDER",
    ),
]
Modality = Annotated[
    str | None, typer.Option(help="CT, PET or MR: preset of spacing and grey levels.")
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        help="One of several images per case, in the column image_NAME, and its preset: pet=PET, "
        "ct=CT; give it once for each image.",
        metavar="NAME=MODALITY",
    ),
]
OnMissing = Annotated[
    str,
    typer.Option(help="raise: a case that lacks an image fails; nan: its features are missing."),
]
Settings = Annotated[
    Path | None, typer.Option(help="pyradiomics parameter file (YAML or JSON).", metavar="FILE")
]
BinWidth = Annotated[float | None, typer.Option(help="Width of a grey level.")]
Patch = Annotated[int, typer.Option(help="Side of the network's patches in voxels.")]
Jobs = Annotated[int, typer.Option(help="Processes; 0: one per core.")]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of the network.")]
Clinical = Annotated[str | None, typer.Option(help="Clinical columns.", metavar="COL,COL")]
Target = Annotated[str, typer.Option(help="Column with the label.", metavar="COL")]
Event = Annotated[
    str | None,
    typer.Option(
        help="Column that is 1 where the event was seen; the target is its time.", metavar="COL"
    ),
]
Lesions = Annotated[
    str, typer.Option(help="Definition of a lesion: label, components or labels of the mask.")
]
Roi = Annotated[
    str | None,
    typer.Option(help="Region of a structure set or segmentation, or a pattern such as GTV*."),
]
Channel = Annotated[
    int | None,
    typer.Option(
        "--label-channel",
        min=0,
        help="Channel with the labels, from 0, of masks with several values per voxel.",
    ),
]
FillSlices = Annotated[
    bool, typer.Option("--fill-slices", help="Interpolate contours on slices that were skipped.")
]
Embeddings = Annotated[
    list[str] | None,
    typer.Option(
        "--embedding",
        help="Deep features by the name of their model; CSV, Parquet or NPZ. Repeatable.",
        metavar="NAME=FILE",
    ),
]
Hcr = Annotated[
    str | None,
    typer.Option(
        help="Radiomics columns of a CSV without images, such as 'original_*'.",
        metavar="PATTERN,PATTERN",
    ),
]
Tables = Annotated[
    Path,
    typer.Argument(
        help="CSV with the columns image, mask and others; or with radiomics.",
        metavar="CASES.csv",
    ),
]
SavedModel = Annotated[Path, typer.Argument(help="File of `fit`.", metavar="MODEL.skops")]
Coverage = Annotated[
    float,
    typer.Option(
        min=0.5, max=0.99, help="Share of the cases of each class whose sets are to hold it."
    ),
]
Patients = Annotated[
    str,
    typer.Option(
        help="How several lesions make one prediction: graph, or one or several of mean, max, "
        "min, std, sum, largest, volume.",
        metavar="HOW,HOW",
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        help="Select radiomics in each fold: mrmr, univariate, lasso, correlation or boruta, and "
        "how many, such as mrmr:20.",
        metavar="METHOD:K",
    ),
]
Harmonised = Annotated[
    bool, typer.Option("--harmonise", help="Harmonise the radiomics of centres in each fold.")
]
Stable = Annotated[
    bool,
    typer.Option(
        "--stable",
        help="Keep hand-crafted features that come back when images and masks are perturbed, or in "
        "--repeat-measurements; learned in each fold.",
    ),
]
StableThreshold = Annotated[
    float, typer.Option(min=0, max=1, help="ICC(1,1) whose lower bound a stable feature reaches.")
]
RepeatMeasurements = Annotated[
    list[Path] | None,
    typer.Option(
        help="Second measurement of the same cases (retest, other reader), for --stable. "
        "Repeatable.",
        metavar="CASES.csv",
    ),
]
