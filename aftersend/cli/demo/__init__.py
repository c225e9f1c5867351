"""The demo: a simulated campaign on local servers, shown live and verified."""
