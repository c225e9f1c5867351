"""Kafka as services use it: topics and partitions, consumer lag, writing raw records."""
