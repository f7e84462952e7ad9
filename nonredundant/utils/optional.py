"""Import dependencies that may be missing, with an error that says how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or raise an error with the command that installs it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of this package that contains it.
    purpose : str
        The feature that needs it, for the error message.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module is not installed.

    Examples
    --------
    >>> import_optional("json", extra="graph", purpose="this example").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {module!r}, which is not installed: "
            f'pip install "nonredundant[{extra}]"'
        ) from error


def import_radiomics(module: str = "radiomics") -> ModuleType:
    """Import pyradiomics or a part of it, or raise an error that says how to install it.

    Pyradiomics is a dependency, but has no wheels for most systems: pip compiles it, and where this
    failed or was left out, this package is installed without it.

    Parameters
    ----------
    module : str, default="radiomics"
        Dotted name of the module.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If pyradiomics or its compiled part cannot be imported.

    Examples
    --------
    >>> import_radiomics("radiomics.base").__name__
    'radiomics.base'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"hand-crafted features need pyradiomics, which cannot be imported ({error}). pip "
            "compiles it where there is no wheel for the system: install a C compiler and the "
            "headers of Python (Debian, Ubuntu: apt install build-essential python3-dev; macOS: "
            "xcode-select --install; Windows: the Build Tools for Visual Studio), then run\n"
            "    pip install --force-reinstall --no-deps --no-cache-dir pyradiomics-cuda"
        ) from error
