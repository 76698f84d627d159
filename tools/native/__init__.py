"""Servers and services as processes of this machine, without containers."""
