"""Section: the words of the page, for readers who do not know the package."""

from __future__ import annotations

from typing import Any

from nonredundant.report.formatting import Table
from nonredundant.report.section import Block, Section

#: Word → what it means, in the order in which a reader meets them.
_WORDS = {
    "HCR": "hand-crafted radiomics: features by formulas, such as volume or texture",
    "DLR": "deep-learning radiomics: numbers in which a network sums up the image of a lesion",
    "…-MI": "deep features of a network that was trained to be independent of HCR "
    "(MI: mutual information, which it keeps low)",
    "…-residual": "deep features from which what HCR predict of them was removed afterwards",
    "PCA": "principal components of the voxels, the simplest alternative to a network",
    "A+B": "both groups of features together in one classifier",
    "A & B": "a classifier for each group, whose predictions are weighed",
    "LR, SVM, RF": "classifiers: logistic regression, support vector machine, random forest",
    "EN, GB, KNN": "classifiers: elastic net, gradient boosting, nearest neighbours",
    "AUC": "of a patient with the outcome and one without, how often the first has the higher "
    "prediction; 0.5 is chance, 1 is perfect",
    "95 % interval": "values that are compatible with the data; those outside are excluded",
    "p": "how often chance alone would give such a result; below 0.05 it is called seen",
    "corrected, Holm": "p is raised for the number of tests, of which some succeed by chance",
    "dependence": "what one group of features tells of another; distance correlation measures it "
    "from 0 (none) to 1 (one follows from the other)",
    "residuals": "what is left of a number after models have predicted what they can of it",
    "permuted": "compared with the same test after the patients were shuffled",
    "calibration slope": "1 is right; below 1, high risks are predicted too high and low ones too "
    "low, as by overfitting",
    "fold, cross-validation": "patients are divided into folds; each is predicted by models that "
    "were trained on the others",
}


def _content(comparison: Any) -> list[Block]:
    """Explain the words."""
    rows = [[word, meaning] for word, meaning in _WORDS.items()]
    return [Table(["", ""], [False, False], rows, kind="pairs")]


SECTION = Section("words", "Words", _content)
