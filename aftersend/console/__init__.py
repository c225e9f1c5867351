"""HTTP interface for people and programs: the query API and its authentication."""
