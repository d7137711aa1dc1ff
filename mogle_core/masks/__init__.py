"""Label maps: classes, palettes, decoding, label spaces, decoupling, editing, painting, scores."""
