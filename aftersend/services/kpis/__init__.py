"""KPIs of deliveries, from Redis (live) and from the KPI topic, and as other products show them."""
