"""The networks that the metrics need, and readers of their files."""
