"""Tables of patients with lung cancer: hand-crafted and deep features of the same tumours.

Their publishers keep them in other layouts, and those of the embeddings state no licence, so they
are not downloaded: the fetchers read copies in the folder `nsclc` and check them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from nonredundant.datasets.fetchers import local_folder

HOSNY_COHORTS = ("HarvardRT", "Maastro", "M-SPORE")
#: SHA-256 of the files.
CHECKSUMS = {
    "hosny_HarvardRT.csv.gz": "10f45ee308b906ab0bc1b57f9aaf2c46dcd41fc1974ef20478e040d5ae6d96d8",
    "hosny_M-SPORE.csv.gz": "a65ee0842d043a1df40492432d9cf0b81d8f2a31a25786c6dcd970800a8492fd",
    "hosny_Maastro.csv.gz": "92ddee7fe6a02768e4e84adfde522be12c5840497a34c92b998c12fdbc012999",
    "lung1_cases.csv": "ca82274335dffca0c50c516de56c61741f6c0e35d97e0b653609902d0d2d41ab",
    "lung1_fmcib.npz": "2465af139a9e8cbfc095ce29159ef5e7878974b5d73235001980b6f270929592",
    "lung1_fmcib_randomized_sampled_non_roi.npz": (
        "6392cbb146ac4ae58601ca9c3ce3d97b23e989e3d6cd215105b81c3a4a38da90"
    ),
}
_HOSNY_DESCR = """Lung cancer: hand-crafted radiomics and the output of a 3-D network per patient.

Cohort {cohort}, {n} patients; target: alive after two years. Source: Hosny et al. 2018, PLoS Med.
15:e1002711, doi 10.1371/journal.pmed.1002711, licence CC BY 4.0, as kept in the public repository
aydindemircioglu/radFS. Published AUC of the network: 0.70 (Maastro), 0.71 (M-SPORE).
"""
_LUNG1_DESCR = """Lung cancer: radiomics, embeddings by FMCIB and survival of 206 patients.

Patients and survival: NSCLC-Radiomics, Aerts et al. 2014, doi 10.7937/K9/TCIA.2015.PF0M9REI,
licence CC BY-NC 3.0. Hand-crafted features: Hosny et al. 2018, doi 10.1371/journal.pmed.1002711,
CC BY 4.0.
Embeddings by FMCIB (Pai et al. 2024, doi 10.1038/s42256-024-00807-9): published beside
TumorImagingBench without a stated licence, so do not redistribute them. `FMCIB-control` is the
embedding after the voxels outside of the tumour were drawn at random (READII).
"""


def fetch_hosny(
    cohort: str = "Maastro",
    *,
    return_X_y: bool = False,
    data_home: str | os.PathLike[str] | None = None,
) -> Any:
    """Fetch radiomics of patients with lung cancer, and what a 3-D network predicted for each.

    Parameters
    ----------
    cohort : {"HarvardRT", "Maastro", "M-SPORE"}, default="Maastro"
        293, 211 or 97 patients; the first two had radiotherapy, the last one surgery.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    data_home : path-like or None, default=None
        Folder that contains `nsclc/`. None: that of the environment variable
        ``NONREDUNDANT_DATA``.

    Returns
    -------
    Bunch or tuple
        Bunch with `data`, about 1,000 hand-crafted features per patient; `target`, a Series, 1 for
        alive after two years; `cnn`, a data frame of one column, the network's probability of
        that; `DESCR`.

    Raises
    ------
    OSError
        If there is no copy of the file.
    ValueError
        If the cohort is unknown, or the copy is another file.

    Examples
    --------
    >>> from nonredundant.datasets import fetch_hosny
    >>> fetch_hosny("M-SPORE").cnn.shape  # doctest: +SKIP
    (97, 1)
    """
    if cohort not in HOSNY_COHORTS:
        raise ValueError(f"cohort must be one of {HOSNY_COHORTS}, got {cohort!r}")
    table = _hosny_table(cohort, data_home)
    target, cnn = table.pop("surv2yr").astype(int), table.pop("cnn_alive_2y")
    if return_X_y:
        return table, target
    description = _HOSNY_DESCR.format(cohort=cohort, n=len(table))
    return Bunch(data=table, target=target, cnn=cnn.to_frame(), DESCR=description)


def fetch_lung1(
    *, return_X_y: bool = False, data_home: str | os.PathLike[str] | None = None
) -> Any:
    """Fetch radiomics and embeddings of a foundation model of 206 patients with lung cancer.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    data_home : path-like or None, default=None
        Folder that contains `nsclc/`. None: see :func:`fetch_hosny`.

    Returns
    -------
    Bunch or tuple
        Bunch with `data`, the hand-crafted features; `embeddings`, a dict of data frames of 4,096
        columns: `FMCIB`, and `FMCIB-control` of images whose voxels outside of the tumour were
        drawn at random; `cnn`, the output of another network; `clinical`; `target`, a Series, 1
        for alive after two years; `times`, a data frame of `event` and `time` in days; `DESCR`.
        All of them have the ids of the patients as index.

    Raises
    ------
    OSError
        If there is no copy of a file.
    ValueError
        If a copy is another file.

    Examples
    --------
    >>> from nonredundant import LesionTable
    >>> from nonredundant.datasets import fetch_lung1
    >>> lung1 = fetch_lung1()  # doctest: +SKIP
    >>> LesionTable(lung1.data, embeddings=lung1.embeddings)  # doctest: +SKIP
    LesionTable(206 samples, ...)
    """
    table = _hosny_table("Maastro", data_home)
    cases = pd.read_csv(_checked("lung1_cases.csv", data_home), index_col="patient_id")
    ids = table.index.intersection(cases.index)
    table, cases = table.loc[ids], cases.loc[ids]
    target, cnn = table.pop("surv2yr").astype(int), table.pop("cnn_alive_2y")
    if return_X_y:
        return table, target
    times = pd.DataFrame(
        {"event": cases["deadstatus.event"].astype(bool), "time": cases["Survival.time"]}
    )
    files = {
        "FMCIB": "lung1_fmcib.npz",
        "FMCIB-control": "lung1_fmcib_randomized_sampled_non_roi.npz",
    }
    return Bunch(
        data=table,
        embeddings={name: _embedding(file, data_home).loc[ids] for name, file in files.items()},
        cnn=cnn.to_frame(),
        clinical=cases.drop(columns=["deadstatus.event", "Survival.time", "survival"]),
        target=target,
        times=times,
        DESCR=_LUNG1_DESCR,
    )


def _hosny_table(cohort: str, data_home: str | os.PathLike[str] | None) -> pd.DataFrame:
    """Read a cohort, indexed by its ids as text."""
    path = _checked(f"hosny_{cohort}.csv.gz", data_home)
    table = pd.read_csv(path, dtype={"patient_id": str})
    # Five patients of Maastro have no id in the published file.
    names = pd.Series([f"unnamed-{row}" for row in range(len(table))])
    return table.assign(patient_id=table["patient_id"].fillna(names)).set_index("patient_id")


def _embedding(file: str, data_home: str | os.PathLike[str] | None) -> pd.DataFrame:
    """Read an embedding, indexed by the ids of the patients."""
    with np.load(_checked(file, data_home), allow_pickle=False) as archive:
        index = pd.Index(archive["patient_id"].astype(object), name="patient_id")
        return pd.DataFrame(archive["embedding"], index=index)


def _checked(name: str, data_home: str | os.PathLike[str] | None) -> Path:
    """Return the path of a copy whose checksum is right."""
    folder = local_folder("nsclc", name, data_home)
    if folder is None:
        raise OSError(
            f"There is no copy nsclc/{name}, and it is not downloaded (see the description of the "
            "module nonredundant.datasets.nsclc): set the environment variable NONREDUNDANT_DATA "
            "to the folder that contains nsclc/, or pass data_home."
        )
    path = folder / name
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != CHECKSUMS[name]:
        raise ValueError(
            f"{path} has the SHA-256 {digest}, not {CHECKSUMS[name]}: it is another file or "
            "damaged; restore it."
        )
    return path
