"""Shared by several tests: hosts and servers, small models and data sets, label maps, written-out formulas."""
