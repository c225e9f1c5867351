"""KumoMTA."""
