"""Sources of feedback, one folder for each provider, MTA or own system: raw bytes to canonical events."""
