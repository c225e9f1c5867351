"""Names of everything that commands and API show: which there are, by context, and those of each view."""
