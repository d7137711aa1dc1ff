"""Sigmas, and the Euler sampler without ComfyUI."""
