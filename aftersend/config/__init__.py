"""Settings: one section a file, joined and loaded in one place."""
