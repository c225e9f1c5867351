"""What is held against an address: quarantine, validity, suppression."""
