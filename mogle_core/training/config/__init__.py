"""The configuration of a run: its sections, reading it, and the official YAML form."""
