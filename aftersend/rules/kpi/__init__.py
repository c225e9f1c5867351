"""KPIs as data, and the alerts on them."""
