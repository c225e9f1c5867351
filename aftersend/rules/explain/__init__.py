"""Explanations of a row: what each event did, and by which rule (`docs/domain.md §8`)."""
