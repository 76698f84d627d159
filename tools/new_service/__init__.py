"""Writes a working service from the template, and its name wherever services are listed by hand."""
