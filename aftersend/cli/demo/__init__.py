"""Terminal side of `aftersend demo`."""
