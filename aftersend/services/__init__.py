"""Functions for operators and programs: they read and write, but do not print, and do not depend on HTTP."""
