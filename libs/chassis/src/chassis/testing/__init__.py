"""What tests of services share: a clock, patience, and the check of every event that is written."""

from chassis.testing.clock import FrozenClock
from chassis.testing.eventually import eventually

__all__ = ["FrozenClock", "eventually"]
