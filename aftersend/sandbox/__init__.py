"""Local servers, simulated campaigns, the reference implementation and the demo; production imports none of it."""
