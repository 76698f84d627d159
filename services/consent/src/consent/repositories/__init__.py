"""Every query of consent, by what it is about."""

from consent.repositories.changes import ChangedGate, Changes
from consent.repositories.gates import Gates, Held, HeldGates, Lapsed, Standing
from consent.repositories.ledger import GrantInHistory, GrantTerms, Ledger
from consent.repositories.rows import GateState, GrantRow

__all__ = [
    "ChangedGate",
    "Changes",
    "GateState",
    "Gates",
    "GrantInHistory",
    "GrantRow",
    "GrantTerms",
    "Held",
    "HeldGates",
    "Lapsed",
    "Ledger",
    "Standing",
]
