"""Consent's routes: what a person agrees to and how they want to be treated, and what services ask."""

from consent.api import anchors, consents, law, preferences, receipts, transparency_log

ROUTERS = (
    law.law,
    consents.public,
    receipts.router,
    preferences.router,
    consents.internal,
    transparency_log.public,
    anchors.router,
    transparency_log.internal,
)

__all__ = ["ROUTERS"]
