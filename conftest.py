"""Fixtures for the tests of every member."""

pytest_plugins = ["support.plugin", "support.servers", "support.platform", "support.round_trips"]
