"""`aftersend top`: deliveries and pipeline, live on a terminal."""
