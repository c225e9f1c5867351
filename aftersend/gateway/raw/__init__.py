"""Writing bodies to the raw topics: batches, backpressure, acknowledgements."""
