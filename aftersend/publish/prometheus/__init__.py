"""Prometheus metrics: the catalog, the series, the page and one collector a file."""
