"""`aftersend demo`: everything at once on servers of its own, and a check of every number at the end."""
