"""From a photo to a label map: parsers, the framing that they expect, and the repair of left and right."""
