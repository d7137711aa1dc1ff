"""The checks of `mogle doctor`: this machine, files of weights, and ComfyUI's folders."""
