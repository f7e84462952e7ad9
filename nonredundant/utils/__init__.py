"""Validation, optional imports and warnings, for every other package."""
