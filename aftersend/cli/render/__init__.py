"""How commands show results: tables, progress bars, JSON."""
