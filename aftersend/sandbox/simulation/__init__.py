"""A campaign that never was: raw records as an MTA and a tracker would write them, for demo, trial and load.

Pure generation, no Kafka: `campaign.simulate_campaign` yields records, whoever calls it sends them.
"""
