"""One module per provider or MTA: raw bytes to canonical events."""
