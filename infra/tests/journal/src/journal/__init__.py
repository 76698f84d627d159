"""A service with one table, which a test adds to a copy of the project."""
