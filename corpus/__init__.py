"""Feeds the pictures of other projects' test suites to a running cluster and says what becomes of them."""
