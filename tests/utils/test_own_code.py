"""The code of the user's own classes and functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from nonredundant import NonRedundantCVAE
from nonredundant.utils.own_code import own_code


class Base(TransformerMixin, BaseEstimator):
    """Has a method that a class inherits."""


class Own(Base):
    """A class of the user's own."""


def own(values: Any, truth: Any = None) -> Any:
    """Return the values."""
    return values


@dataclass
class Options:
    """Holds a part."""

    part: Any


def test_own_classes_bases_and_functions_are_found_wherever_they_are():
    parts = {
        "pipeline": make_pipeline(StandardScaler(), FunctionTransformer(own)),
        "nested": [(Options(Own()), NonRedundantCVAE())],
        "scorer": make_scorer(own),
    }
    found = own_code(parts)
    starts = sorted(source.split("(")[0].split(":")[0] for source in found)
    assert starts == ["class Base", "class Own", "def own"]


def test_installed_code_is_none_of_the_users_own():
    assert own_code([NonRedundantCVAE(), StandardScaler(), len, 3, None, "text"]) == []
