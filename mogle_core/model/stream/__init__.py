"""The third stream: blocks, attention, modulation, LoRA, kept keys and region texts."""
