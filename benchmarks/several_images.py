"""Time, memory and accuracy of two images per patient, beside each of them alone."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.metrics import redundancy_report

IMAGES = {"pet": {"modality": "PET"}, "ct": {"modality": "CT", "spacing": "native", "bin_width": 5}}
STS = Path(os.environ.get("NONREDUNDANT_DATA", "/nowhere")) / "dicom" / "STS_001"
#: What of the patient is measured in a process of its own: the columns of its case table.
SCANS = {
    "PET": {"image": "PET/image", "mask": "PET/mask/RS.dcm"},
    "CT": {"image": "CT/image", "mask": "PET_mask.nii.gz"},
    "both": {
        "image_pet": "PET/image",
        "image_ct": "CT/image",
        "mask": "PET/mask/RS.dcm",
    },
}
METHODS = ("r2-ridge", "r2-forest", "discriminator-auc", "dcor")


def measure_patient(which: str) -> str:
    """Measure the patient of SCANS three times; return the least seconds and the peak in MiB."""
    cases = pd.DataFrame({name: [str(STS / path)] for name, path in SCANS[which].items()})
    images = {"pet": {"modality": "PET"}, "ct": {"modality": "CT"}}
    options = {"images": images} if which == "both" else {"modality": which}
    extractor = RadiomicsExtractor(**options)
    # Libraries are imported and compiled before.
    cheap = extractor.get_params() | {"feature_classes": ["firstorder", "shape"]}
    RadiomicsExtractor(**cheap).fit_transform(cases)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        extractor.fit_transform(cases)
        seconds.append(time.process_time() - start)
    # The highest resident memory of this program; `getrusage` counts that of its parent, too.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = float(status.partition("VmHWM:")[2].split()[0]) / 1024
    return f"{min(seconds)} {peak}"


def patient() -> pd.DataFrame:
    """Measure PET, CT and both of the patient, in a process each."""
    rows = []
    for which in SCANS:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--measure", which],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, peak = map(float, done.stdout.split())
        rows.append({"images": which, "seconds": seconds, "peak_MiB": peak})
    return pd.DataFrame(rows).round(2)


def channel(table: LesionTable, name: str) -> LesionTable:
    """Return the lesions with one image alone: its features, the shape, and its channel."""
    position = list(IMAGES).index(name)
    other = next(one for one in IMAGES if one != name)
    kept = [column for column in table.columns if not column.startswith(f"{other}_")]
    return table.replace(
        features=table.features[kept],
        patches=np.ascontiguousarray(table.patches[:, [position]]),
        provenance={},
    )


def epoch_seconds(n_channels: int, n: int = 192, n_epochs: int = 3) -> float:
    """Return the CPU seconds of an epoch on patches of 32³, the least of three trainings."""
    rng = np.random.default_rng(0)
    masks = np.zeros((n, 1, 32, 32, 32), dtype=bool)
    masks[..., 8:24, 8:24, 8:24] = True
    table = LesionTable.from_arrays(
        patches=rng.normal(size=(n, n_channels, 32, 32, 32)).astype(np.float32),
        masks=masks,
        features=rng.normal(size=(n, 100)),
    )
    found = []
    for _ in range(3):
        seconds = []
        for epochs in (1, 1 + n_epochs):
            start = time.process_time()
            NonRedundantCVAE(max_epochs=epochs, random_state=0).fit(table)
            seconds.append(time.process_time() - start)
        found.append((seconds[1] - seconds[0]) / n_epochs)
    return min(found)


def fit_and_audit(
    table: LesionTable, y: np.ndarray, n_train: int, epochs: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """Train on the first lesions; score and audit on the others."""
    train, test = table[:n_train], table[n_train:]
    cvae = NonRedundantCVAE(max_epochs=epochs, random_state=0)
    fused = np.asarray(cvae.fit(train).transform(train))
    held = np.asarray(cvae.transform(test))
    n_known = fused.shape[1] - cvae.n_dlr_

    def auc(part: slice) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
        model.fit(fused[:, part], y[:n_train])
        return roc_auc_score(y[n_train:], model.decision_function(held[:, part]))

    report = redundancy_report(
        test.hcr, held[:, n_known:], methods=METHODS, n_permutations=20, random_state=0
    )
    scores = {
        "HCR": auc(slice(0, n_known)),
        "DLR-MI": auc(slice(n_known, None)),
        "HCR+DLR-MI": auc(slice(None)),
    }
    return scores, report


def main() -> None:
    """Measure a patient, train on phantoms, and write a section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", choices=list(SCANS))
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stdout.write(measure_patient(arguments.measure))
        return
    warnings.simplefilter("ignore")
    n = arguments.train + arguments.test
    # What PET shows says nothing of these labels beyond chance.
    cases, y, _ = make_lesions(
        n, images=2, visible_effect=0.0, hidden_effect=0.0, second_effect=2.7, random_state=0
    )
    options = {"feature_classes": ["shape", "firstorder"], "patch_shape": (16, 16, 16)}
    with tempfile.TemporaryDirectory() as memory:
        extractor = RadiomicsExtractor(images=IMAGES, memory=memory, n_jobs=2, **options)
        table = extractor.fit_transform(cases)
    rows, audits = [], []
    for name, part in {
        "PET": channel(table, "pet"),
        "CT": channel(table, "ct"),
        "both": table,
    }.items():
        scores, report = fit_and_audit(part, y, arguments.train, arguments.epochs)
        rows.append({"images": name, **scores})
        audits.append(report.reset_index().assign(images=name))
    audit = pd.concat(audits)
    columns = ["images", "method", "estimate", "null_mean", "null_95", "p_value"]
    body = [
        f"{arguments.train} phantoms of two images for training and {arguments.test} others, "
        f"patches of 16³, {arguments.epochs} epochs. The label depends on the hidden factor of "
        "the CT alone. AUC on the others, of logistic regressions.",
        pd.DataFrame(rows).round(3).to_markdown(index=False),
        "What the latents share with all hand-crafted features of the images, on the others:",
        audit[[name for name in columns if name in audit]].round(3).to_markdown(index=False),
    ]
    one, two = epoch_seconds(1), epoch_seconds(2)
    body.append(
        f"An epoch on 192 patches of 32³ takes {one:.2f} s of CPU with one channel and {two:.2f} s "
        f"with two, {two / one:.2f} times as long."
    )
    if STS.is_dir():
        body += [
            "PET and CT of one patient as DICOM series with a structure set drawn on the PET, all "
            "features, CPU seconds (the least of three) and peak memory of the process:",
            patient().to_markdown(index=False),
        ]
    write_section("several_images.py", "Two images per patient", "\n\n".join(body))


if __name__ == "__main__":
    main()
