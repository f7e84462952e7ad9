"""The options of repeated measurements: perturbed images, or tables of a second measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nonredundant.cli.features import read_measured
from nonredundant.cli.tools import echo, has_images, read_cases


def stable_steps(
    stable: bool,
    threshold: float,
    files: Sequence[Path],
    cases: Any,
    path: Path,
    extractor: Any,
    *,
    root: Path | None,
    seed: int,
    cache: Path | None = None,
) -> list[Any]:
    """Return the step of the option --stable, with the repeats that it learns from.

    Parameters
    ----------
    stable : bool
        Whether the option is given.
    threshold : float
        What the intraclass correlation of a kept feature reaches.
    files : sequence of Path
        Further measurements of the cases, of images or of radiomics as the cases themselves.
    cases : DataFrame or LesionTable
        What was read of `path`.
    path : Path
        The cases.
    extractor : RadiomicsExtractor
        For images.
    root : Path or None
        Folder that relative paths start from.
    seed : int
        Seed of perturbations.
    cache : Path or None
        Where measurements are kept.

    Returns
    -------
    list of transformers
        The step, or nothing.

    Raises
    ------
    ValueError
        If there are repeats and no option, or lesions without repeats.
    """
    from sklearn.base import clone

    from nonredundant.folds.stable_features import StableFeatures
    from nonredundant.lesions.table import LesionTable

    if not stable:
        if files:
            raise ValueError("--repeat-measurements are what --stable learns from: add --stable")
        return []
    if isinstance(cases, LesionTable):
        if not files:
            raise ValueError(
                f"--stable needs repeated measurements, and {path} has no images to perturb: give "
                "the table of a second measurement of the same cases by --repeat-measurements "
                "FILE.csv"
            )
        repeats = [cases, *(read_measured(one, cases) for one in files)]
        return [StableFeatures(repeats, threshold=threshold)]
    plain = clone(extractor).set_params(clinical=None, embeddings=None)
    plain.set_params(memory=None if cache is None else str(cache))
    if not files:
        echo("Perturbing each case, for the stability of its features")
        plain.set_params(patch_shape=None)
        return [StableFeatures(plain.perturb(cases, random_state=seed), threshold=threshold)]
    repeats = []
    for one in (cases, *files):
        if isinstance(one, Path):
            if not has_images(one):
                raise ValueError(f"{path} has images to measure, and {one} has not: so must both")
            one = read_cases(one, root=root, images=plain.images)
        repeats.append(plain.fit(one).transform(one).replace(patches=None, masks=None))
    return [StableFeatures(repeats, threshold=threshold)]
