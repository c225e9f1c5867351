"""The aftersend command."""
