"""Exactly-once email feedback processing: recipient states and delivery KPIs from MTA logs and provider webhooks."""
