"""Outputs besides Kafka: live KPIs in Redis, metrics for Prometheus."""
