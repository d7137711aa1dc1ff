"""From mask latents to mask tokens: experts, gate, regions, and records of what the gate did."""
