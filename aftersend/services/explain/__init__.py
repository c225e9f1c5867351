"""Explanation of a row: every event, its decision and the rule behind it."""
