"""Fit and save a model, and read the new cases that a saved one is applied to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nonredundant.cli.features import read_embeddings, read_lesions
from nonredundant.cli.tools import (
    cores,
    echo,
    has_images,
    read_cases,
    read_labels,
    repeated_ids,
)
from nonredundant.report.model_card import HEADING
from nonredundant.utils.files import replaced_file, write_text

#: Number of features that the drivers of a prediction name.
_DRIVERS = 3


def fit_model(
    cases: Any,
    labels: Any,
    extractor: Any,
    *,
    clinical: Any,
    feature_set: str | None,
    embeddings: Sequence[str],
    steps: Sequence[Any] = (),
    **settings: Any,
) -> Any:
    """Fit a model, and its known features alone, on images or on a table of radiomics.

    Parameters
    ----------
    cases : DataFrame or LesionTable
        The cases.
    labels : Series or DataFrame
        Their outcome.
    extractor : RadiomicsExtractor
        For images.
    clinical : transformer or None
        What encodes clinical columns.
    feature_set : str or None
        The set; None: the default one of what there is.
    embeddings : sequence of str
        Names of given embeddings.
    steps : sequence of transformer
        What is learned after clinical columns are encoded.
    **settings
        Further parameters of the model.

    Returns
    -------
    FeatureSetClassifier
        The model. It does not hold the embeddings of its training cohort.
    """
    from nonredundant.evaluation.classifier import FeatureSetClassifier
    from nonredundant.folds.steps import EncodeClinical
    from nonredundant.lesions.table import LesionTable

    is_table = isinstance(cases, LesionTable)
    block = f"{embeddings[0]}-MI" if embeddings else "DLR-MI"
    default = "HCR" if is_table and not embeddings else f"HCR+{block}"
    encoders = [EncodeClinical(clinical)] if is_table and clinical is not None else []
    model = FeatureSetClassifier(
        feature_set or default,
        extractor=None if is_table else extractor.set_params(clinical=clinical),
        steps=[*encoders, *steps],
        reference=True,
        **settings,
    )
    model.fit(cases, labels, groups=groups_of(cases))
    if not is_table:
        # Those of new cases are given with these; a file must not name or hold others.
        for one in (model.extractor, model.extractor_):
            one.set_params(embeddings=None)
    return model


def save_model(model: Any, output: Path, *, outcome: str) -> None:
    """Write a model and its card, and tell what was fitted and how it did."""
    import skops.io

    from nonredundant.classifiers.builtin import long_name
    from nonredundant.report.formatting import format_estimate
    from nonredundant.report.model_card import model_card

    with replaced_file(output) as file:
        skops.io.dump(model, file)
    write_text(card_of(output), model_card(model, outcome=outcome))
    n_fitted, name = model.fingerprint_["n_samples"], long_name(model.classifier_name_)
    # The set as it was asked for; its clinical columns are told by the card.
    echo(f"{model.feature_set} with {name}, fitted on {n_fitted} cases")
    measured = model.performance()
    if not measured.empty:
        first, n_folds = measured.iloc[0], len(model.fold_models_)
        echo(f"{first['measure']} {format_estimate(first)} in {n_folds} folds")
    echo(f"written to {output}, its card to {card_of(output)}")


def card_of(output: Path) -> Path:
    """Return the file of a model's card."""
    return output.with_suffix(".md")


def check_card(output: Path) -> Path:
    """Return the file of a model's card; raise if it is another file, which would be lost.

    Raises
    ------
    ValueError
        If there is such a file that is no card.
    """
    card = card_of(output)
    if card.is_file():
        with card.open("rb") as file:
            start = file.read(len(HEADING))
        if start and start != HEADING.encode():
            raise ValueError(
                f"the card of {output} would overwrite {card}, which is no card of a model: choose "
                "another name of the model, or move that file"
            )
    return card


def check_event(fitted: Any, model: Path, event: str | None) -> None:
    """Raise if the outcome of new cases is of another kind than that of the model.

    Raises
    ------
    ValueError
        If a model of times has no column of events, or one of classes has.
    """
    if len(fitted.classes_) and event is not None:
        raise ValueError(f"{model} predicts classes, which have no --event: omit it")
    if not len(fitted.classes_) and event is None:
        raise ValueError(
            f"{model} predicts times to an event: add --event COL, which is 1 where it was seen"
        )


def read_new_cases(
    fitted: Any,
    model: Path,
    path: Path,
    *,
    root: Path | None,
    jobs: int,
    embedding: Sequence[str],
    target: str | None = None,
    event: str | None = None,
) -> tuple[Any, Any, Any]:
    """Read the cases that a model is applied to, as those that it was fitted on.

    Parameters
    ----------
    fitted : FeatureSetClassifier
        The model.
    model, path : Path
        Its file, and that of the cases.
    root, jobs, embedding
        Options of the command.
    target, event : str or None
        Columns of the outcome, if it is needed.

    Returns
    -------
    cases : DataFrame or LesionTable
        The cases.
    lesions : LesionTable
        Their lesions.
    labels : Series, DataFrame or None
        Their outcome; None without a target.

    Raises
    ------
    ValueError
        If the file lacks images, columns or embeddings of the model.
    """
    from nonredundant.folds.harmonise import Harmonise
    from nonredundant.folds.steps import named_columns

    given = read_embeddings(embedding, [target, event])
    _check_embeddings(given, fitted, model)
    steps = getattr(getattr(fitted, "steps_", None), "steps", [])
    # Centres are text as written, as at the fit.
    centre = next((step.centre for _, step in steps if isinstance(step, Harmonise)), None)
    if hasattr(fitted, "extractor_"):
        images = getattr(fitted.extractor_, "images", None)
        outcome = [name for name in (target, event) if name]
        cases = read_cases(path, *outcome, centre=centre, root=root, images=images)
        labels = None if target is None else read_labels(cases, target, path, event)
        fitted.extractor_.set_params(n_jobs=cores(jobs))
        if given:
            fitted.extractor_.set_params(embeddings=given)
        return cases, fitted.extractor_.transform(cases), labels
    if has_images(path):
        raise ValueError(
            f"{model} was not fitted on images and cannot read any: give a CSV with its "
            "features, or fit a model on images with `nonredundant fit`"
        )
    table, labels = read_lesions(
        path,
        target,
        event=event,
        centre=centre,
        clinical=named_columns(steps),
        columns=[name for name, block in fitted.blocks_.items() if block == "hcr"],
        embeddings=given,
    )
    return table, table, labels


def groups_of(cases: Any) -> Any:
    """Return the ids of cases where an id has several rows; None elsewhere."""
    samples = getattr(cases, "samples", cases)
    ids = repeated_ids(samples)
    return samples[ids] if ids else None


def predictions(fitted: Any, lesions: Any, coverage: float) -> Any:
    """Predict all cases: probabilities or risk, the set of classes, and what drove them.

    Cells are empty for cases that could not be read, and columns are left out that the model
    cannot give.
    """
    import pandas as pd

    from nonredundant.evaluation.validation import describe_sets
    from nonredundant.lesions.labels import among_all

    fine = (lesions.status == "ok").to_numpy()
    read = lesions[fine]
    if len(fitted.classes_):
        p = fitted.predict_proba(lesions)
        found = pd.DataFrame(p, index=lesions.index, columns=[f"p_{c}" for c in fitted.classes_])
        best = pd.Series(fitted.classes_[p[fine].argmax(1)])
        found.insert(0, "predicted", among_all(best, fine, found.index))
    else:
        risk = pd.Series(fitted.predict(read) if fine.any() else [], dtype=float)
        found = pd.DataFrame({"risk": among_all(risk, fine, lesions.index)})
    if hasattr(fitted, "predict_set") and fine.any():
        sets = fitted.predict_set(read, coverage=coverage)
        found["set"] = among_all(describe_sets(sets), fine, found.index)
    if hasattr(fitted, "contributions") and fine.any():
        drivers = fitted.contributions(read).apply(_drivers, axis=1)
        found["drivers"] = among_all(drivers, fine, found.index)
    return found


def _drivers(contributions: Any) -> str:
    """Write the features that move a prediction most, with what each adds to its log-odds."""
    largest = contributions.abs().nlargest(_DRIVERS).index
    return "; ".join(f"{name} {contributions[name]:+.2g}" for name in largest)


def _check_embeddings(given: Any, fitted: Any, model: Path) -> None:
    """Raise if an embedding of the model is missing, or one is given that it does not know."""
    from nonredundant.lesions.blocks import embedding_names

    needed = embedding_names(fitted.blocks_)
    missing = [name for name in needed if name not in given]
    if missing:
        options = " ".join(f"--embedding {name}=FILE" for name in missing)
        raise ValueError(f"{model} needs the embeddings {missing} of the cases: add {options}")
    unknown = [name for name in given if name not in needed]
    if unknown:
        raise ValueError(f"{model} has no embeddings {unknown}: it has {needed or 'none'}")
