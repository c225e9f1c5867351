"""What `aftersend deliveries` does."""
