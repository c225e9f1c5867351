"""The demo: a simulated campaign on servers of its own, and verification of every number."""
