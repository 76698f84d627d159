"""What this service can do, one file per verb."""
