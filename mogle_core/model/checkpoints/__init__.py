"""Checkpoints: reading, writing and converting network and LoRA."""
