"""Every public name has a complete numpydoc docstring."""

from __future__ import annotations

import importlib
import inspect

import pytest
from numpydoc.validate import validate

PACKAGES = (
    "cvae",
    "contrastive",
    "datasets",
    "displays",
    "evaluation",
    "extraction",
    "folds",
    "independence",
    "inspection",
    "io",
    "lesions",
    "metrics",
    "patches",
    "patients",
    "radiomics",
    "report",
    "statistics",
)
#: numpydoc codes: order and completeness of sections, form of summaries, types of parameters.
CHECKS = {
    "GL03", "GL05", "GL06", "GL07", "GL08", "SS02", "SS03", "SS04",
    "PR01", "PR02", "PR03", "PR04", "PR07", "RT03", "YD01",
}  # fmt: skip


def public_objects() -> list[str]:
    """Return the path of each public function and class, and of each public method."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"nonredundant.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            path = f"{value.__module__}.{name}"
            found[path] = value
            if inspect.isclass(value):
                own = [
                    (n, m)
                    for n, m in inspect.getmembers(value)
                    if not n.startswith("_")
                    and (inspect.isfunction(m) or inspect.ismethod(m) or isinstance(m, property))
                ]
                for n, member in own:
                    function = member.fget if isinstance(member, property) else member
                    if function.__module__.startswith("nonredundant."):
                        found[f"{path}.{n}"] = member
    return sorted(found)


@pytest.mark.parametrize("path", public_objects())
def test_docstring_is_complete(path):
    result = validate(path)
    # Users do not construct results: their fields are documented under "Attributes".
    text = result["docstring"]
    is_result = "Attributes\n" in text and "Parameters\n" not in text
    exempt = {"PR01"} if is_result else set()
    errors = [f"{code}: {text}" for code, text in result["errors"] if code in CHECKS - exempt]
    assert not errors
