"""Every query of consent, by what it is about."""

from consent.repositories.changes import ChangedGate, Changes
from consent.repositories.gates import Gates, Lapsed, Standing
from consent.repositories.ledger import GrantInHistory, GrantTerms, Ledger

__all__ = ["ChangedGate", "Changes", "Gates", "GrantInHistory", "GrantTerms", "Lapsed", "Ledger", "Standing"]
