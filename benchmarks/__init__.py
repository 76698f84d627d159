"""Compares the platform with its limits, side by side in one run; `make bench`."""
