"""Drift: KPIs recomputed from the rows, compared with the KPI topic and with Redis."""
