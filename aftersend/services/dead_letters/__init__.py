"""`aftersend dead-letters`: what could not be read, why, and once more from the start."""
