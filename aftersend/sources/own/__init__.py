"""The sender's own sources: tracker, sender's system, operators."""
