"""What tests of services share: a clock, patience, and the check of every event that is written."""

from support.clock import FrozenClock
from support.eventually import eventually

__all__ = ["FrozenClock", "eventually"]
