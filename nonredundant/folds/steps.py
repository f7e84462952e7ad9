"""Steps of a fold: transformers `LesionTable` → `LesionTable`, learned on its training part.

A step is any scikit-learn transformer that takes and returns a `LesionTable` of the same samples.
`Pipeline.fit_transform` fits the steps on the training table; `transform` applies them to every
other table. By scikit-learn's tags (`target_tags.required`) a step says whether it sees the
outcome; such a step is fitted again within each inner split that tunes a classifier, and a network
behind it counts as one that depends on labels.

Hand-crafted and clinical columns that a step does not return are no longer given to the steps
behind it nor to classifiers. They are known all the same: the table after the steps has them in the
block "left out", so that latents which repeat them are not taken for new.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_selection import (
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.utils import get_tags

from nonredundant.extraction.case_table import (
    check_cells,
    clinical_names,
    clinical_sources,
    columns_read,
    fit_transform_clinical,
    transform_clinical,
)
from nonredundant.folds.harmonise import Harmonise
from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.lesions.features import check_columns
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.context import seeded_numpy
from nonredundant.utils.validation import HasMethods, InvalidParameterError

#: Selectors by a score of each column and the outcome, whose tags do not require one, since scores
#: of the column alone exist.
_SELECTORS = (
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
)
#: Name of a step and the untrained transformer.
Step = tuple[str, Any]


class EncodeClinical(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=()
):
    """Encode columns of `LesionTable.samples` as clinical features.

    Parameters
    ----------
    transformer : transformer or list of str
        A transformer of the data frame `samples`, such as a `ColumnTransformer`, or columns that
        are numbers already.

    Attributes
    ----------
    transformer_ : transformer or list of str
        The fitted transformer, or the list.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant import LesionTable
    >>> samples = pd.DataFrame({"age": [60, 70]}, index=["anna", "bert"])
    >>> table = LesionTable(pd.DataFrame({"volume": [1.0, 2.0]}), samples=samples)
    >>> EncodeClinical(["age"]).fit_transform(table).clinical["age"].tolist()
    [60.0, 70.0]
    """

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: LesionTable, y: Any = None) -> EncodeClinical:
        """Fit the transformer.

        Parameters
        ----------
        X : LesionTable
            Training samples.
        y : array of shape (n_samples,), optional
            Passed to the transformer.

        Returns
        -------
        self
            The fitted step.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: LesionTable, y: Any = None) -> LesionTable:
        """Fit the transformer and encode the training samples by its `fit_transform`.

        Parameters
        ----------
        X : LesionTable
            Training samples.
        y : array of shape (n_samples,), optional
            Passed to the transformer.

        Returns
        -------
        LesionTable
            The lesions with the encoded columns in the block "clinical".
        """
        self.transformer_, encoded = fit_transform_clinical(self.transformer, X.samples, y)
        return X if encoded is None else X.join(encoded)

    def transform(self, X: LesionTable) -> LesionTable:
        """Encode samples.

        Parameters
        ----------
        X : LesionTable
            The samples.

        Returns
        -------
        LesionTable
            The lesions with the encoded columns in the block "clinical".

        Raises
        ------
        ValueError
            If `samples` lacks a column, or a column of numbers has other cells.
        """
        encoded = transform_clinical(self.transformer_, X.samples)
        return X if encoded is None else X.join(encoded)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """List the names of the encoded columns.

        Parameters
        ----------
        input_features : ignored
            Ignored.

        Returns
        -------
        list of str
            The names.
        """
        return clinical_names(self.transformer_)

    def __sklearn_tags__(self) -> Any:
        """Declare whether the transformer sees labels."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = sees_labels(self.transformer)
        tags.no_validation = True
        return tags


def sees_labels(estimator: Any) -> bool:
    """Return whether an estimator, or one inside it, needs labels by its tags.

    Examples
    --------
    >>> from sklearn.compose import ColumnTransformer
    >>> from sklearn.preprocessing import StandardScaler, TargetEncoder
    >>> sees_labels(StandardScaler())
    False
    >>> sees_labels(ColumnTransformer([("ward", TargetEncoder(), ["ward"])]))
    True
    """
    if not hasattr(estimator, "get_params"):
        return False
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(
        isinstance(part, _SELECTORS) or get_tags(part).target_tags.required
        for part in parts
        if hasattr(part, "__sklearn_tags__") and not isinstance(part, type)
    )


def check_steps(steps: Any, caller: str) -> list[Step]:
    """Return the steps by name.

    Parameters
    ----------
    steps : Pipeline, or iterable of transformers or of (name, transformer)
        The steps.
    caller : str
        Whose parameter it is, for the message.

    Returns
    -------
    list of (str, transformer)
        The steps, those of pipelines among them one by one, so that what is known of a step is
        known of it there, too; those without a name are named after their class.

    Raises
    ------
    InvalidParameterError
        If one of them is no transformer.
    """
    wanted = (
        f"The 'steps' parameter of {caller} must be a list of transformers, each of which takes "
        "and returns a LesionTable."
    )
    if isinstance(steps, Pipeline):
        steps = steps.steps
    if isinstance(steps, str | type) or not isinstance(steps, Iterable):
        raise InvalidParameterError(f"{wanted} Got {steps!r} instead.")
    named: dict[str, Any] = {}
    for number, (name, transformer) in enumerate(_unfolded(steps)):
        usable = HasMethods(["fit", "transform", "get_params"]).is_satisfied_by(transformer)
        if isinstance(transformer, type) or not usable:
            raise InvalidParameterError(f"{wanted} Got {transformer!r} at position {number}.")
        name = name or type(transformer).__name__.lower()
        named[name if name not in named else f"{name}-{number}"] = transformer
    return list(named.items())


def _unfolded(steps: Iterable[Any]) -> Iterator[Step]:
    """Yield each step with its name, which may be empty; those of pipelines one by one."""
    for step in steps:
        name, transformer = step if isinstance(step, tuple) and len(step) == 2 else ("", step)
        if not isinstance(transformer, Pipeline):
            yield name, transformer
            continue
        for inner, part in _unfolded(transformer.steps):
            if part is not None and not (isinstance(part, str) and part == "passthrough"):
                yield f"{name}-{inner}" if name else inner, part


def clinical_steps(clinical: Any) -> list[Step]:
    """Return the step that encodes the clinical columns of an extractor; none without any."""
    return [] if clinical is None else [("clinical", EncodeClinical(clinical))]


def named_columns(steps: Iterable[Step]) -> list[Any]:
    """Return the clinical columns of `samples` that steps read, as far as is known."""
    found: list[Any] = []
    for _, step in steps:
        if isinstance(step, EncodeClinical):
            found += clinical_sources(step.transformer)
        elif isinstance(step, Harmonise):
            found += step.covariates or ()
    return found


def check_clinical_cells(steps: Iterable[Step], samples: pd.DataFrame) -> None:
    """Raise if a column that a step of clinical columns may read has cells with several values.

    Such columns of a case table are no part of `LesionTable.samples`, and those of
    `LesionTable.samples` are no part of a saved table.
    """
    for _, step in steps:
        if isinstance(step, EncodeClinical):
            check_cells(samples, columns_read(step.transformer, samples))


def fit_steps(
    steps: list[Step], table: LesionTable, y: Any, seed: int
) -> tuple[Pipeline, LesionTable]:
    """Fit clones of the steps on training samples; return them and the samples after them.

    Random states that are None are set to the seed, as is NumPy's global generator meanwhile. An
    outcome of numbers is one of numbers to a `TargetEncoder`, too, even where all are whole.
    """
    pipeline = clone(Pipeline(steps))
    params = pipeline.get_params(deep=True)
    unset = [name for name in params if name.endswith("random_state") and params[name] is None]
    pipeline.set_params(**dict.fromkeys(unset, seed))
    if np.asarray(y).dtype.kind == "f":
        # "auto" takes numbers for classes where all are whole.
        automatic = [part for part in params.values() if isinstance(part, TargetEncoder)]
        for encoder in automatic:
            if encoder.target_type == "auto":
                encoder.set_params(target_type="continuous")
    prepared, left_out = table, _LeftOut()
    with config_context(transform_output="default"), seeded_numpy(seed):
        for _, step in pipeline.steps:
            # What does not say that it sees labels is given none.
            target, before = y if sees_labels(step) else None, prepared
            with _naming_columns(step, prepared):
                if hasattr(step, "fit_transform"):
                    prepared = step.fit_transform(prepared, target)
                else:
                    prepared = step.fit(prepared, target).transform(prepared)
            _check_result(step, prepared, table)
            left_out.note(before, prepared)
    return pipeline, left_out.added_to(prepared)


def apply_steps(pipeline: Pipeline | None, table: LesionTable) -> LesionTable:
    """Return samples after the fitted steps, of which there may be none."""
    if pipeline is None:
        return table
    prepared, left_out = table, _LeftOut()
    with config_context(transform_output="default"):
        for _, step in pipeline.steps:
            before = prepared
            with _naming_columns(step, prepared):
                prepared = step.transform(prepared)
            _check_result(step, prepared, table)
            left_out.note(before, prepared)
    return left_out.added_to(prepared)


class _LeftOut:
    """The known columns that steps do not return, as they were before the step."""

    def __init__(self) -> None:
        self.columns: dict[str, pd.Series] = {}

    def note(self, before: LesionTable, after: LesionTable) -> None:
        """Keep the columns that a step has not returned."""
        gone = [name for name in before.known.columns if name not in after.blocks]
        self.columns |= {name: before.features[name] for name in gone}

    def added_to(self, table: LesionTable) -> LesionTable:
        """Return the table with these columns in the block "left out"."""
        columns = {name: one for name, one in self.columns.items() if name not in table.blocks}
        return table.add_columns(pd.DataFrame(columns), LEFT_OUT) if columns else table


@contextlib.contextmanager
def _naming_columns(step: Any, table: LesionTable) -> Iterator[None]:
    """Say which columns there are where a step reads a column that the table does not have."""
    try:
        yield
    except KeyError as error:
        name = error.args[0] if error.args else None
        if not isinstance(name, str) or name in {*table.samples.columns, *table.columns}:
            raise
        raise ValueError(
            f"the step {type(step).__name__} reads the column {name!r}, which is neither in "
            f"samples, {list(table.samples.columns)}, nor among the {table.shape[1]} features. "
            "Columns of a case table with arrays, lists or other objects are left out of samples: "
            "write each value to a column of its own"
        ) from error


def _check_result(step: Any, prepared: Any, table: LesionTable) -> None:
    """Raise unless a step returned a table of the same samples and lesions."""
    name = type(step).__name__
    if not isinstance(prepared, LesionTable):
        raise TypeError(
            f"steps must return a LesionTable, but {name} returned {type(prepared).__name__}: a "
            "step ends with, for instance, return X.replace(features=changed)"
        )
    if not prepared.index.equals(table.index):
        raise ValueError(
            f"steps must keep the samples, but {name} made {len(prepared)} of {len(table)}, or "
            "changed their labels or order; resampling is the `sampler`'s task"
        )
    if not np.array_equal(prepared.sample, table.sample):
        raise ValueError(
            f"steps must keep the lesions, but {name} made {prepared.n_lesions} of "
            f"{table.n_lesions}; leave lesions out before the comparison"
        )


def joined_parts(
    table: LesionTable, rows: list[Any], parts: list[LesionTable], given: list[LesionTable]
) -> LesionTable:
    """Put prepared parts of a table together again, in its order.

    Voxels that no step has changed are those of the table, not copies.

    Parameters
    ----------
    table : LesionTable
        The table before the steps.
    rows : list of arrays
        Positions of the samples of each part; together all of them.
    parts, given : list of LesionTable
        The parts after and before the steps.

    Returns
    -------
    LesionTable
        The prepared table.
    """
    for part in parts[1:]:
        check_columns(list(parts[0].columns), part)
    same = all(
        part.patches is before.patches and part.masks is before.masks
        for part, before in zip(parts, given, strict=True)
    )
    if same:
        parts = [part.replace(patches=None, masks=None) for part in parts]
    order = pd.Series(range(len(table)), index=[i for part in rows for i in part])
    prepared = LesionTable.concat(parts)[order.sort_index().to_numpy()]
    if same and prepared.n_lesions == table.n_lesions:
        return prepared.replace(patches=table.patches, masks=table.masks)
    return prepared
