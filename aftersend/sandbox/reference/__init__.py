"""The reference: a second implementation of the domain, and the check that compares the engine's results with it.

Written from the description of the domain, not from the engine: dicts, strings and one event at a time, no packing, no
batches. It shares no code with `rules` and `tables`, so what both say is likely to be right. `check` compares all that
a stopped or idle installation shows with what its input should have made of it.
"""

from aftersend.sandbox.reference.check import CheckReport, check

__all__ = ["CheckReport", "check"]
