"""What `aftersend suppression` does."""
