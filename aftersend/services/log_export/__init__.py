"""A delivery's logs as the products have them: chosen, read from the topics, written as CSV or JSON lines."""
