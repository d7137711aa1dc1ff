"""Generates many pictures: jobs, seeds, resuming, shards, and the backends."""
