"""Face-MoGLE's method (arXiv 2509.00428) in plain torch: nothing in here imports ComfyUI."""

__version__ = "0.1.0"
