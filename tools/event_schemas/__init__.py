"""Freezes the schemas of the events, documents them, and refuses what breaks a promise."""
