"""Explanations of a row: which event did what, and by which rule."""
