"""Write phantoms and their case table, to try an installation: `phantom_cases.py FOLDER [N]`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nonredundant.datasets import make_lesions


def main(folder: Path, n: int) -> None:
    """Write image and mask of each phantom as NIfTI, and `cases.csv` with relative paths."""
    folder.mkdir(parents=True)
    cases, y, _ = make_lesions(n, random_state=0)
    cases = cases.assign(label=y)
    for i in range(n):
        for name in ("image", "mask"):
            voxels = np.asarray(cases.iloc[i][name])
            kind = np.float32 if name == "image" else np.uint8
            path = f"{name}{i:02d}.nii.gz"
            sitk.WriteImage(sitk.GetImageFromArray(voxels.astype(kind)), str(folder / path))
            cases.loc[cases.index[i], name] = path
    cases[["image", "mask", "label"]].to_csv(folder / "cases.csv", index_label="id")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16)
