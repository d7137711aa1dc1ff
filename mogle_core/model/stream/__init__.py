"""The third stream: blocks, attention, modulation, LoRA, reused keys and region prompts."""
