"""Masks for photos by parsers, and a list of those that a person should repair."""
