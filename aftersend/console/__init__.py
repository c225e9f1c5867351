"""HTTP out: the query API."""
