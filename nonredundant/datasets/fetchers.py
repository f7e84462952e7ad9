"""Fetch public cohorts: read them from a local folder, or download and check them once.

A fetcher looks in ``data_home``, then in the folder of the environment variable
``NONREDUNDANT_DATA``, and otherwise downloads to the user's cache.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
from scipy.io import loadmat
from sklearn.utils import Bunch

STS_IMAGES = "https://raw.githubusercontent.com/theibsi/data_sets/master/ibsi_validation/nifti/"
STS_OUTCOME = (
    "https://raw.githubusercontent.com/mvallieres/radiomics/master/"
    "STUDIES/STS_study/WORKSPACE/outcome.mat"
)
# SHA-256 of the 51 outcomes as one string of 0 and 1. It identifies the outcome vector of the
# study, independent of the encoding of the MATLAB file.
STS_OUTCOME_SHA256 = "46c38ce7bb825e5f63e68df7dac652451d55fc326467129416d4956a12f67985"
MEDMNIST = "https://zenodo.org/records/10519652/files/"
# MD5 sums as MedMNIST publishes them in its own `medmnist/info.py`.
MEDMNIST_MD5 = {
    "adrenalmnist3d_64.npz": "17721accfe9fb005146a47d33bc54b2f",
    "pneumoniamnist.npz": "28209eda62fecd6e6a2d98b1501bb15f",
}
SPLITS = ("train", "val", "test")
_STS_DESCR = """Soft-tissue sarcoma: FDG-PET of 51 patients, and whether lung metastases followed.

Images are in SUV, cropped to 5 cm around the tumour, with the tumour's mask. Source: the
Soft-tissue-Sarcoma collection of The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2015.7GO2GSKS,
as prepared by A. Zwanenburg for the Image Biomarker Standardisation Initiative
(github.com/theibsi/data_sets), licence CC BY 3.0. Cite Vallieres et al. 2015, Phys. Med. Biol.
60:5471, doi 10.1088/0031-9155/60/14/5471.
"""
_MEDMNIST_DESCR = """{title}

Source: MedMNIST v2, doi 10.1038/s41597-022-01721-8, zenodo.org/records/10519652, licence CC BY
4.0. Read from {path}, with the splits {splits}.
"""


@dataclass(frozen=True)
class _MedMNIST:
    """One file of MedMNIST: its names, its title, and whether the image is its own mask."""

    file: str
    shared_copy: str
    title: str
    is_mask: bool = False


_ADRENAL = _MedMNIST(
    "adrenalmnist3d_64.npz",
    "adrenalmnist3d_64_train_val.npz",
    "AdrenalMNIST3D: adrenal glands, normal (0) or with mass or hyperplasia (1).",
    is_mask=True,
)
_PNEUMONIA = _MedMNIST(
    "pneumoniamnist.npz",
    "pneumoniamnist_28_train_val.npz",
    "PneumoniaMNIST: chest radiographs, normal (0) or with pneumonia (1).",
)


def fetch_sts(
    *,
    return_X_y: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Any:
    """Fetch the soft-tissue sarcoma cohort: 51 PET images with tumour masks and an outcome.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    data_home : path-like or None, default=None
        Folder that contains `sts/cohort.csv` and its images. None: the folder of the environment
        variable ``NONREDUNDANT_DATA`` if it contains them, else the user's cache.
    download_if_missing : bool, default=True
        Download missing files; otherwise raise OSError.

    Returns
    -------
    Bunch or tuple
        Bunch with `data`, a case table of 51 rows indexed by `patient_id` with the absolute
        paths `image` and `mask`; `target`, the Series `lung_metastasis` (1 in 19 patients);
        `clinical_names`, the clinical columns of `data`; `folder` and `DESCR`.

    Raises
    ------
    OSError
        If files are missing and cannot be downloaded.
    ValueError
        If a downloaded file is not the expected one.

    Notes
    -----
    The `cohort.csv` of a local copy also has the columns `age_years`, `sex`, `weight_kg` and
    `height_m`. They come from the headers of the archive's DICOM files, so a downloaded cohort
    has no clinical columns. The SHA-256 of each downloaded image and of the outcome vector are
    checked. The licence of the images is CC BY 3.0: cite the source, see ``DESCR``.

    Examples
    --------
    >>> from nonredundant.datasets import fetch_sts
    >>> sts = fetch_sts()  # doctest: +SKIP
    >>> sts.data.shape, int(sts.target.sum())  # doctest: +SKIP
    ((51, 6), 19)
    """
    folder = local_folder("sts", "cohort.csv", data_home)
    if folder is None:
        target_folder = _cache(data_home) / "sts"
        complete = (target_folder / "outcome.mat").is_file()  # it is downloaded last
        _refuse_download(download_if_missing or complete, target_folder)
        folder, table = target_folder, _download_sts(target_folder)
    else:
        table = pd.read_csv(folder / "cohort.csv", index_col="patient_id")
        for column in ("image", "mask"):
            table[column] = [str((folder / path).resolve()) for path in table[column]]
        _check_present(table)
    target = table.pop("lung_metastasis").astype(int)
    if return_X_y:
        return table, target
    return Bunch(
        data=table,
        target=target,
        clinical_names=[name for name in table.columns if name not in ("image", "mask")],
        folder=str(folder),
        DESCR=_STS_DESCR,
    )


def fetch_adrenal(
    *,
    split: str | None = None,
    return_X_y: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Any:
    """Fetch AdrenalMNIST3D with 64 voxels per side: shapes of adrenal glands from CT.

    Parameters
    ----------
    split : {"train", "val", "test"} or None, default=None
        The official split to return. None: all splits in the file.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    data_home : path-like or None, default=None
        Folder that contains `medmnist/`. None: see :func:`fetch_sts`.
    download_if_missing : bool, default=True
        Download missing files; otherwise raise OSError.

    Returns
    -------
    Bunch or tuple
        Bunch with `data`, a case table with the columns `image` (uint8 arrays of 0 and 255, 64
        voxels per side) and `mask` (uint8, the voxels above 0); `target`, a Series, 1 for a mass or
        hyperplasia; `split`, a Series of the official splits; `DESCR`.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded.
    ValueError
        If the split is unknown or not in the file, or the checksum of a download is wrong.

    Notes
    -----
    The image is the shape itself, so only shape features carry information. The MD5 sum of
    downloads, as published by MedMNIST, is checked.

    Examples
    --------
    >>> from nonredundant.datasets import fetch_adrenal
    >>> fetch_adrenal(split="val").data.shape  # doctest: +SKIP
    (98, 2)
    """
    return _fetch_medmnist(_ADRENAL, split, return_X_y, data_home, download_if_missing)


def fetch_pneumonia(
    *,
    split: str | None = None,
    return_X_y: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Any:
    """Fetch PneumoniaMNIST with 28 pixels per side: chest radiographs of children.

    Parameters
    ----------
    split : {"train", "val", "test"} or None, default=None
        The official split to return. None: all splits in the file.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    data_home : path-like or None, default=None
        Folder that contains `medmnist/`. None: see :func:`fetch_sts`.
    download_if_missing : bool, default=True
        Download missing files; otherwise raise OSError.

    Returns
    -------
    Bunch or tuple
        Bunch with `data`, a case table with the column `image` (uint8 arrays of shape (28, 28),
        no mask: whole images are used); `target`, a Series, 1 for pneumonia; `split`, a Series
        of the official splits; `DESCR`.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded.
    ValueError
        If the split is unknown or not in the file, or the checksum of a download is wrong.

    Notes
    -----
    The MD5 sum of downloads, as published by MedMNIST, is checked.

    Examples
    --------
    >>> from nonredundant.datasets import fetch_pneumonia
    >>> fetch_pneumonia(split="val").data.shape  # doctest: +SKIP
    (524, 1)
    """
    return _fetch_medmnist(_PNEUMONIA, split, return_X_y, data_home, download_if_missing)


def _cache(data_home: str | os.PathLike[str] | None) -> Path:
    """Return the folder for downloads."""
    if data_home is not None:
        return Path(data_home)
    return Path(pooch.os_cache("nonredundant"))


def local_folder(name: str, marker: str, data_home: str | os.PathLike[str] | None) -> Path | None:
    """Return the local folder `name` if it contains the file `marker`, else None."""
    home = data_home if data_home is not None else os.environ.get("NONREDUNDANT_DATA")
    folder = Path(home).expanduser().resolve() / name if home else None
    return folder if folder is not None and (folder / marker).is_file() else None


def _refuse_download(allowed: bool, where: Path) -> None:
    """Raise unless a download is allowed."""
    if not allowed:
        raise OSError(
            f"The data are not in {where}: set the environment variable NONREDUNDANT_DATA to the "
            "folder that contains them, or pass download_if_missing=True."
        )


def _check_present(table: pd.DataFrame) -> None:
    """Raise if the case table names files that do not exist."""
    for column in ("image", "mask"):
        missing = table.index[[not Path(path).is_file() for path in table[column]]]
        if len(missing):
            raise FileNotFoundError(
                f"{len(missing)} of {len(table)} files of column {column!r} are missing, first "
                f"{missing[0]}: {table.loc[missing[0], column]}. Restore them, or unset "
                "NONREDUNDANT_DATA to download the cohort."
            )


def _sts_checksums() -> dict[str, str]:
    """Read the SHA-256 of each image file of the cohort."""
    text = (
        resources.files("nonredundant.datasets")
        .joinpath("data/sts.sha256")
        .read_text(encoding="utf-8")
    )
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def _download_sts(folder: Path) -> pd.DataFrame:
    """Download the cohort's images and outcome, and build its case table."""
    checksums = _sts_checksums()
    urls = {name: f"{STS_IMAGES}{name[:7]}/{name[8:]}" for name in checksums}
    images = pooch.create(
        path=folder / "images",
        base_url=STS_IMAGES,
        registry={name: f"sha256:{digest}" for name, digest in checksums.items()},
        urls=urls,
        retry_if_failed=2,
    )
    try:
        paths = {name: images.fetch(name) for name in checksums}
        outcome = pooch.retrieve(STS_OUTCOME, known_hash=None, fname="outcome.mat", path=folder)
    except OSError as error:
        raise _download_failed(f"soft-tissue sarcoma cohort ({STS_IMAGES})", error) from error
    patients = sorted({name[:7] for name in checksums})
    return pd.DataFrame(
        {
            "image": [paths[f"{patient}_PET_image.nii.gz"] for patient in patients],
            "mask": [paths[f"{patient}_PET_mask.nii.gz"] for patient in patients],
            "lung_metastasis": _read_outcome(Path(outcome)),
        },
        index=pd.Index(patients, name="patient_id"),
    )


def _read_outcome(path: Path) -> np.ndarray:
    """Read the outcome vector of the study from its MATLAB file and check it."""
    variables = [value for name, value in loadmat(path).items() if not name.startswith("__")]
    outcome = np.ravel(variables[0]).astype(int) if variables else np.empty(0, dtype=int)
    digest = hashlib.sha256("".join(map(str, outcome)).encode()).hexdigest()
    if digest != STS_OUTCOME_SHA256:
        raise ValueError(
            f"{path} does not contain the outcome of the 51 patients of Vallieres et al. 2015 (it "
            f"has {outcome.size} values with SHA-256 {digest}). Delete it and fetch again."
        )
    return outcome


def _download_failed(what: str, error: Exception) -> OSError:
    """Build the error for a failed download."""
    return OSError(
        f"The {what} could not be downloaded: {error}. Check the connection, or set the "
        "environment variable NONREDUNDANT_DATA to a folder that contains the data."
    )


def _fetch_medmnist(
    cohort: _MedMNIST,
    split: str | None,
    return_X_y: bool,
    data_home: str | os.PathLike[str] | None,
    download: bool,
) -> Any:
    """Read one MedMNIST file into a Bunch, or into a case table and its labels."""
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS} or None, got {split!r}.")
    files = (cohort.file, cohort.shared_copy)
    local = [f / file for file in files if (f := local_folder("medmnist", file, data_home))]
    path = local[0] if local else _download_medmnist(cohort.file, data_home, download)
    data = _read_splits(path, split)
    target, split_of = data.pop("label"), data.pop("split")
    if cohort.is_mask:
        data["mask"] = data["image"].map(lambda image: (image > 0).astype(np.uint8))
    if return_X_y:
        return data, target
    description = _MEDMNIST_DESCR.format(
        title=cohort.title, path=path, splits=", ".join(split_of.unique())
    )
    return Bunch(data=data, target=target, split=split_of, DESCR=description)


def _read_splits(path: Path, split: str | None) -> pd.DataFrame:
    """Read images, labels and splits of a MedMNIST file, of one split or of all that it has."""
    with np.load(path, allow_pickle=False) as archive:
        present = [name for name in SPLITS if f"{name}_images" in archive]
        if split is not None and split not in present:
            raise ValueError(f"{path} has no split {split!r}; it contains {', '.join(present)}.")
        parts = []
        for name in present if split is None else [split]:
            labels = archive[f"{name}_labels"].ravel().astype(int)
            columns = {"image": list(archive[f"{name}_images"]), "label": labels, "split": name}
            index = [f"{name}{i:04d}" for i in range(len(labels))]
            parts.append(pd.DataFrame(columns, index=index))
    return pd.concat(parts)


def _download_medmnist(name: str, data_home: str | os.PathLike[str] | None, download: bool) -> Path:
    """Download one MedMNIST file unless it is in the cache."""
    folder = _cache(data_home) / "medmnist"
    _refuse_download(download or (folder / name).is_file(), folder)
    try:
        return Path(
            pooch.retrieve(
                f"{MEDMNIST}{name}",
                known_hash=f"md5:{MEDMNIST_MD5[name]}",
                fname=name,
                path=folder,
            )
        )
    except OSError as error:
        raise _download_failed(f"file {MEDMNIST}{name}", error) from error
