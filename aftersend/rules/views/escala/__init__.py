"""Escala's view and contact card."""
