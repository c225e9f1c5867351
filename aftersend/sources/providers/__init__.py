"""Email service providers, one folder each."""
