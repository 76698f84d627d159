"""Writes what follows from the registry and the Settings classes into .env.example and compose.yaml."""
