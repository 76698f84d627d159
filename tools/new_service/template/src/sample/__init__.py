"""Entries of people."""
