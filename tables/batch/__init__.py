"""Folding one batch of events into rows, contacts and KPIs.

`fold` has the hot loop; `late`, `contacts`, `declarations` and `sweep` what it calls; `write` the output.
"""
