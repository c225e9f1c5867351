"""Logs of a delivery in the formats of other products: chosen, read from the topics, written as CSV or JSON lines."""
