"""What is the same for every row."""

import pytest


@pytest.fixture(autouse=True)
def patient_redis(monkeypatch):
    """Wait for Redis on a busy machine too: without it the limits are other numbers."""
    monkeypatch.setattr("chassis.counters.REDIS_TIMEOUT_SECONDS", 10.0)
