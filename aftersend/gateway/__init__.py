"""HTTP in: the webhooks of providers, stored in the raw topics as they come."""
