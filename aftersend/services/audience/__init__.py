"""What `aftersend audience` does."""
