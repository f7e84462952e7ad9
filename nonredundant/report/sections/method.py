"""Section: the method in five lines, with the references."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from nonredundant.report.references import cite, reference_list
from nonredundant.report.section import Block, Section


def _content(comparison: Any) -> list[Block]:
    """Describe the method, and list the references."""
    settings = comparison.settings
    lines = [_features(settings), _network(settings), _FOLDS, _tests(settings), _audit()]
    items = Markup("\n").join(Markup("<li>{}</li>").format(line) for line in lines)
    left_out = set() if settings.graph else {"thiery"}
    left_out |= set() if settings.kind == "times" else {"harrell", "kang"}
    left_out |= set() if settings.kind == "classes" else {"delong", "sun", "ledell"}
    if not settings.n_test:
        left_out |= {"delong", "sun", "kang"}
    return [Markup("<ol>\n{}\n</ol>").format(items), reference_list(left_out)]


def _features(settings: Any) -> Markup:
    """Describe where the hand-crafted features come from."""
    text = Markup("Hand-crafted features are those of pyradiomics{}").format(cite("pyradiomics"))
    if settings.extractor is None:
        text += ", or the columns of the lesion table that was passed"
    if settings.patients:
        text += Markup(
            '; how several lesions of a sample are combined is described <a href="#patients">above'
            "</a>"
        )
    return text + "."


def _embeddings(settings: Any) -> str:
    """Describe the components of given embeddings; empty without any."""
    if not settings.embedding:
        return ""
    return (
        " Given embeddings are standardised and reduced to at most "
        f"{settings.embedding['n_components']} principal components; of those named -MI, the mean "
        "and the spread that kernel regressions predict of them from the known features are "
        "removed by cross-fitting."
    )


def _network(settings: Any) -> Markup:
    """Describe the deep features."""
    if not settings.cvae:
        return Markup("No network was trained.") + _embeddings(settings)
    text = Markup(
        "Deep features are the latents of a variational autoencoder of the lesion's patch, whose "
        "decoder also receives the hand-crafted features; sets named -MI are trained with a term "
        "that keeps the two independent{}"
    ).format(cite("vetil"))
    term = settings.cvae.get("independence")
    if term:
        is_dcor = term == "dcor"
        more = Markup(", bias-corrected distance correlation{}").format(cite("szekely"))
        text += Markup(" (here: {}{})").format(term, more if is_dcor else "")
    if settings.cvae.get("residualise"):
        text += (
            "; after the training, mean and spread of each latent given the hand-crafted features "
            "are removed"
        )
    return text + "." + _embeddings(settings)


_FOLDS = Markup(
    "Everything is learned on the training samples of each fold only. All feature sets share the "
    "same folds, inner folds and networks, so that differences are paired."
)


def _tests(settings: Any) -> Markup:
    """Describe the tests."""
    over_folds = Markup(
        "over folds by the corrected resampled t-test{}, which accounts for overlapping training "
        "sets"
    ).format(cite("nadeau"))
    if settings.kind == "numbers":
        text = Markup(
            "R² of predicted numbers are compared over folds by the influence of each sample, "
            "other scores {}"
        ).format(over_folds)
        if settings.n_test:
            text += ", and on the test set by the paired bootstrap"
    elif settings.kind == "times":
        text = Markup("Predicted risks of an event are scored by Harrell's concordance{}; ").format(
            cite("harrell")
        )
        if settings.n_test:
            text += Markup(
                "on the test set two models are compared by the jackknife of their paired "
                "difference{}, "
            ).format(cite("kang"))
        text += over_folds
    else:
        auc = Markup(
            "AUCs of two classes are compared over folds by their influence curves{}, other scores "
            "{}"
        ).format(cite("ledell"), over_folds)
        held = Markup(
            "On the test set, AUCs of two classes are compared by DeLong's test{}, other metrics "
            "by the paired bootstrap. "
        ).format(cite("delong", "sun"))
        text = (held if settings.n_test else Markup("")) + auc
    return text + (
        ". Holm's method corrects p for the number of tests. Added information is tested by "
        "permuting the learned features of patients against what the reference leaves unexplained "
        "of the outcome, as they are and after models of all known features have explained what "
        "they can of both, and by their covariance less what patients of similar known features "
        "share; a claim needs all three."
    )


def _audit() -> Markup:
    """Describe the audit, calibration and net benefit."""
    return Markup(
        "Redundancy is estimated on held-out samples by newly trained estimators and compared "
        "with permuted rows; calibration{} and net benefit{} are computed from held-out "
        "predictions."
    ).format(cite("vancalster"), cite("vickers"))


SECTION = Section("method", "Method in five lines", _content)
