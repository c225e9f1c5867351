"""Deliveries: their declarations, and an overview of declared and undeclared ones."""
