"""Validation, optional imports and context managers for all other packages."""
