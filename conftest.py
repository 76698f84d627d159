"""Fixtures for the tests of every member."""

pytest_plugins = ["chassis.testing.plugin", "cluster.testing", "cluster.testing.platform"]
