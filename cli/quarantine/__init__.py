"""What `aftersend quarantine` does."""
