"""Draws faces: label map, picture and caption from one seed."""
