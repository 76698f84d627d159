"""Proves on a running cluster that an erasure leaves nothing: a person lives, leaves, and is searched for."""
