"""Consent's routes: what a person agrees to and how they want to be treated, and what services ask."""

from consent.api import consents, law

ROUTERS = (law.law, consents.public, consents.internal)

__all__ = ["ROUTERS"]
