"""The command line `nonredundant`."""

from __future__ import annotations

from nonredundant.cli.commands import app, main

__all__ = ["app", "main"]
