"""`Harmonise`: ComBat as a step of a fold, learned on its training patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.lesions.features import check_usable
from nonredundant.lesions.labels import category_name
from nonredundant.lesions.measures import MEASURED, volume_column
from nonredundant.lesions.table import LesionTable
from nonredundant.statistics.combat import (
    PRIORS,
    CentreEffects,
    centre_effects,
    without_effects,
)
from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import InvalidParameterError, StrOptions

#: With fewer patients, the mean and the variance of a centre are mostly noise.
FEW_PATIENTS = 10
#: Number of cases and centres that a message names.
_SHOWN = 5


class Harmonise(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=()
):
    r"""Remove shift and scale of each centre from features, by ComBat with empirical Bayes.

    A step of a fold: what it removes is estimated on the training lesions alone, and the outcome
    has no part in it. Patches, clinical columns and the centre itself stay as they are.

    Parameters
    ----------
    centre : str, default="centre"
        The column of `LesionTable.samples` (of the case table) that holds the centre of a sample:
        text or whole numbers, none missing.
    covariates : sequence of str, optional
        What may differ between centres and is kept: clinical columns of the table, or columns of
        its `samples`, of numbers or of categories. Never the outcome: it is not known of a new
        patient, and its differences between centres would be written into the features.
    blocks : sequence of str, optional
        What is harmonised: "hcr", or the names of given embeddings. None: all of them, so that none
        keeps the centre that others lose.
    prior : {"features", "centres"}, default="features"
        Over what estimates are pooled for the prior of empirical Bayes: over all features of a
        centre, as published, or over the centres of each feature, as combatlearn 2.3 does.
    unseen : {"refuse", "reference"}, default="refuse"
        Samples of a centre that was not among the training samples are refused, or kept as they
        are, as if they came from the pooled reference that the training centres are mapped to; a
        warning names them. A category of a covariate that was not among them is refused, or taken
        as the reference category, the first one of `levels_`, with a warning.

    Attributes
    ----------
    centres_ : list of str
        The centres of the training samples.
    n_samples_ : list of int
        Number of training samples of each.
    columns_ : list of str
        The columns that are harmonised.
    levels_ : dict of str to list of str
        The categories of covariates that are no numbers; the first is their reference.
    mean_, spread_ : array of shape (n_columns,)
        Mean and spread within centres of the pooled reference.
    volume_ : str or None
        The column of volumes, where samples have several lesions. It is harmonised as others are;
        lesions are pooled by their volumes as measured, which stay in the block "left out".
    slopes_ : array of shape (n_covariates, n_columns)
        Effects of the covariates.
    shift_, scale_ : array of shape (n_centres, n_columns)
        Shift and variance of each centre, of standardised columns.

    See Also
    --------
    nonredundant.evaluation.compare_feature_sets : Takes it as one of `steps`.

    Notes
    -----
    For column g of lesion j in centre i with covariates x (Johnson, Li & Rabinovic 2007, doi
    10.1093/biostatistics/kxj037; Fortin et al. 2018, doi 10.1016/j.neuroimage.2017.11.024),

    .. math:: y_{ijg} = \alpha_g + x_{ij} \beta_g
              + \sigma_g (\gamma_{ig} + \delta_{ig} \varepsilon_{ijg}),

    of which the shift :math:`\gamma` and the variance :math:`\delta^2` are replaced by 0 and 1,
    after both have been shrunk to their means over the features of the centre. Lesions count as
    rows. Gaps stay gaps. A column that is constant within every centre loses its differences
    between them. A centre with one lesion is shifted and not scaled. Of one column nothing is
    shrunk.

    Values are those of Fortin's neuroCombat 0.2.12, to the tolerance of its iterations. combatlearn
    2.3, whose `fortin` is `prior="centres"`, is not used: it shrinks each feature to its mean over
    the centres, which with two or three of them is hardly a prior, refuses samples of a new
    centre, and needs plotly, seaborn and umap-learn.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import Harmonise, LesionTable
    >>> rng = np.random.default_rng(0)
    >>> samples = pd.DataFrame({"centre": np.repeat(["Paris", "Lyon"], 40)})
    >>> features = pd.DataFrame(rng.normal(size=(80, 5))).add_prefix("original_glcm_")
    >>> features += 3.0 * (samples["centre"] == "Lyon").to_numpy()[:, None]
    >>> even = Harmonise().fit_transform(LesionTable(features, samples=samples)).features
    >>> means = even.mean(axis=1).groupby(samples["centre"].to_numpy()).mean()
    >>> bool(abs(means["Lyon"] - means["Paris"]) < 0.1)
    True
    """

    _design_columns: list[str]

    _parameter_constraints: dict[str, Any] = {
        "centre": [str],
        "covariates": [list, tuple, None],
        "blocks": [list, tuple, None],
        "prior": [StrOptions(set(PRIORS))],
        "unseen": [StrOptions({"refuse", "reference"})],
    }

    def __init__(
        self,
        centre: str = "centre",
        *,
        covariates: Sequence[str] | None = None,
        blocks: Sequence[str] | None = None,
        prior: str = "features",
        unseen: str = "refuse",
    ) -> None:
        self.centre = centre
        self.covariates = covariates
        self.blocks = blocks
        self.prior = prior
        self.unseen = unseen

    def fit(self, X: LesionTable, y: Any = None) -> Harmonise:
        """Estimate the effects of the centres.

        Parameters
        ----------
        X : LesionTable
            Training samples, of two centres or more.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted step.

        Raises
        ------
        InvalidParameterError
            If a parameter is of another kind, or names a block that the table does not have.
        ValueError
            If the column of centres is absent or has gaps, there is one centre, or a covariate is
            absent, has gaps or follows from the centre.
        """
        self._validate_params()  # type: ignore[attr-defined]
        check_usable(X)
        names = self._centres(X)
        self.centres_ = sorted(set(names))
        self.n_samples_ = [int((names == one).sum()) for one in self.centres_]
        if len(self.centres_) < 2:
            raise ValueError(
                f"Harmonise needs training samples of two centres or more, and {self.centre!r} is "
                f"{self.centres_[0]!r} in all {len(X)}: leave the step out, or use other folds"
            )
        self.columns_ = [name for block in self._blocks(X) for name in X.columns_of(block)]
        if not self.columns_:
            raise ValueError(
                "Harmonise has nothing to harmonise: the table has neither hand-crafted features "
                "nor a given embedding"
            )
        volume = None if X.is_single else volume_column(X)
        self.volume_ = volume if volume in self.columns_ else None
        self.levels_: dict[str, list[str]] = {}
        for name in self.covariates or ():
            column = _covariate(X, name)
            if not _is_numeric(column):
                self.levels_[name] = sorted(set(column.astype(str)))
        found = centre_effects(
            X.features[self.columns_].to_numpy(dtype=float),
            self._numbers(names)[X.sample],
            self._design(X, at_fit=True),
            prior=self.prior,
        )
        for name, values in found._asdict().items():
            setattr(self, f"{name}_", values)
        self._warn_of_few()
        return self

    def transform(self, X: LesionTable) -> LesionTable:
        """Map the features of each lesion to the pooled reference.

        Parameters
        ----------
        X : LesionTable
            The samples, with the columns of the training samples.

        Returns
        -------
        LesionTable
            The lesions with harmonised features.

        Raises
        ------
        ValueError
            If columns are missing, a centre or covariate is missing, or a centre or a category is
            unseen and `unseen="refuse"`.
        """
        check_is_fitted(self, "shift_")
        check_usable(X)
        missing = [name for name in self.columns_ if name not in X.blocks]
        if missing:
            raise ValueError(
                f"Harmonise was fitted on {len(missing)} columns that are missing: "
                f"{missing[:_SHOWN]}; extract both cohorts with the same settings"
            )
        names = self._centres(X)
        numbers = self._numbers(names)
        self._tell_unseen(names[numbers < 0])
        values = X.features[self.columns_].to_numpy(dtype=float)
        effects = CentreEffects(self.mean_, self.spread_, self.slopes_, self.shift_, self.scale_)
        even = without_effects(values, numbers[X.sample], self._design(X, at_fit=False), effects)
        features = X.features.copy()
        features[self.columns_] = even
        harmonised = X.replace(features=features)
        # Files of earlier versions know of no volume.
        name = getattr(self, "volume_", None)
        measured = f"{name}{MEASURED}"
        if name is None or measured in X.blocks:
            return harmonised
        volume = X.features[[name]].set_axis([measured], axis=1)
        return harmonised.add_columns(volume, LEFT_OUT)

    def __sklearn_tags__(self) -> Any:
        """Declare that lesions are taken, and no labels."""
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        return tags

    def _blocks(self, X: LesionTable) -> list[str]:
        """Return the blocks to harmonise, after a check."""
        there = ["hcr", *X.embedding_names]
        if self.blocks is None:
            return there
        wrong = [block for block in self.blocks if block not in there]
        if wrong or not self.blocks:
            raise InvalidParameterError(
                f"The 'blocks' parameter of Harmonise must name blocks among {there}. Got "
                f"{self.blocks!r} instead."
            )
        return list(dict.fromkeys(self.blocks))

    def _centres(self, X: LesionTable) -> np.ndarray:
        """Return the centre of each sample as text, the same for 1, 1.0 and "1"."""
        if self.centre not in X.samples:
            raise ValueError(
                f"Harmonise reads the centre from the column {self.centre!r} of samples, which "
                f"has {list(X.samples.columns)}{suggest_names([self.centre], X.samples.columns)}"
            )
        column = X.samples[self.centre]
        gaps = X.index[(column.isna() | (column.astype(str).str.strip() == "")).to_numpy()]
        if len(gaps):
            raise ValueError(
                f"the centre is missing for {len(gaps)} samples: {gaps[:_SHOWN].tolist()}; fill "
                f"the column {self.centre!r}, or leave them out"
            )
        return np.array([category_name(one) for one in column], dtype=object)

    def _numbers(self, names: np.ndarray) -> np.ndarray:
        """Return the number of the centre of each sample; -1 for one that is unseen."""
        # Files of earlier versions may hold 1.0 as such.
        return pd.Index([category_name(one) for one in self.centres_]).get_indexer(pd.Index(names))

    def _design(self, X: LesionTable, *, at_fit: bool) -> np.ndarray:
        """Return the covariates of each lesion as numbers; at fit those that vary."""
        columns: list[tuple[str, np.ndarray]] = []
        kept = [] if at_fit else self._design_columns
        for name in self.covariates or ():
            column = _covariate(X, name)
            levels = self.levels_.get(name)
            if levels is None:
                columns.append((name, _as_numbers(column, name)))
                continue
            text = column.astype(str).to_numpy()
            self._tell_unseen_categories(name, text[~np.isin(text, levels)])
            columns += [(f"{name}={one}", (text == one).astype(float)) for one in levels[1:]]
        if at_fit:
            kept = [name for name, values in columns if np.ptp(values) > 0]
            self._design_columns = kept
        used = [values for name, values in columns if name in kept]
        return np.column_stack(used)[X.sample] if used else np.empty((X.n_lesions, 0))

    def _warn_of_few(self) -> None:
        """Warn of centres with few training samples."""
        few = [
            f"{name} ({n})"
            for name, n in zip(self.centres_, self.n_samples_, strict=True)
            if n < FEW_PATIENTS
        ]
        if few:
            warn_user(
                f"centres with fewer than {FEW_PATIENTS} training samples, whose shift and scale "
                f"are to Harmonise mostly noise: {', '.join(few)}"
            )

    def _tell_unseen(self, names: np.ndarray) -> None:
        """Refuse or name samples of unseen centres."""
        if not len(names):
            return
        found = _counted(names)
        if self.unseen == "refuse":
            raise ValueError(
                f"Harmonise has no estimate of the centres {found}, which are not among those of "
                f"its training samples, {self.centres_}: use folds that hold every centre, or set "
                "unseen='reference' to leave their features as they are"
            )
        warn_user(
            "Harmonise leaves samples of centres that are not among its training samples as they "
            f"are, as if from the pooled reference: {found}"
        )

    def _tell_unseen_categories(self, name: str, cells: np.ndarray) -> None:
        """Refuse or name samples of categories that are not among those of the training samples."""
        if not len(cells):
            return
        found, levels = _counted(cells), self.levels_[name]
        if self.unseen == "refuse":
            raise ValueError(
                f"Harmonise: the covariate {name!r} has categories that are not among those of the "
                f"training samples, {levels}: {found}; spell them alike, merge rare categories, or "
                f"set unseen='reference' to take them as {levels[0]!r}"
            )
        warn_user(
            f"Harmonise takes categories of the covariate {name!r} that are not among its training "
            f"samples as the reference category {levels[0]!r}: {found}"
        )


def _counted(names: np.ndarray) -> str:
    """List distinct names with their numbers of samples."""
    return ", ".join(f"{name} ({(names == name).sum()})" for name in sorted(set(names)))


def _covariate(X: LesionTable, name: str) -> pd.Series:
    """Return a covariate with one value per sample; raise if it is absent or has gaps."""
    if name in X.columns_of("clinical"):
        first = np.searchsorted(X.sample, np.arange(X.n_samples))
        column = X.features[name].iloc[first]
    elif name in X.samples:
        column = X.samples[name]
    else:
        there = [*X.columns_of("clinical"), *X.samples.columns]
        raise ValueError(
            f"Harmonise: the covariate {name!r} is neither a clinical column nor one of samples, "
            f"{there}{suggest_names([name], there)}"
        )
    gaps = X.index[column.isna().to_numpy()]
    if len(gaps):
        raise ValueError(
            f"Harmonise: the covariate {name!r} is missing for {len(gaps)} samples: "
            f"{gaps[:_SHOWN].tolist()}; fill it, or leave the covariate out"
        )
    return column


def _is_numeric(column: pd.Series) -> bool:
    """Return whether a covariate is a number, and no category."""
    return pd.api.types.is_numeric_dtype(column.dtype)


def _as_numbers(column: pd.Series, name: str) -> np.ndarray:
    """Return a covariate of numbers; raise if later samples have text."""
    if not _is_numeric(column):
        raise ValueError(
            f"Harmonise: the covariate {name!r} was numbers at fit, and is text now, such as "
            f"{column.iloc[0]!r}: write it alike"
        )
    return column.to_numpy(dtype=float)
