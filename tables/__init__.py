"""Tables of recipients, contacts and KPIs, kept in changelog topics."""
