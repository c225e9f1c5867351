"""The partitions of a worker: take-over, batches, transactions, release."""
