"""Proves on a cluster of its own that a restored backup brings nobody back."""
