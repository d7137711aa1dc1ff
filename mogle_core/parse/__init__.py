"""From a photo to a label map: parsers, the framing they expect, and the repair of left and right."""
