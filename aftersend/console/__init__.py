"""HTTP interface for people and programs: the query API, its authentication and its masking of personal data."""
