"""Classifiers of columns: built-in ones, their tuning inside a fold, and their scoring."""
