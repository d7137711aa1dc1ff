"""What `mogle doctor` looks at: this machine, files of weights, and ComfyUI's folders."""
