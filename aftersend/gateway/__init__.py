"""The webhook gateway: verifies requests of providers and stores their bodies, unparsed, in the raw topics."""
