"""FLUX.1's transformer with BFL's names: its files, its cost, and its frozen and offloaded variants."""
