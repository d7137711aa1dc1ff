"""The method: mixture, stream, FLUX.1 and its encoders, checkpoints and sampling."""
