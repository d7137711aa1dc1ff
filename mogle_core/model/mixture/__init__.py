"""From mask latents to mask tokens: experts, gate, regions, and records of the gate's weights."""
