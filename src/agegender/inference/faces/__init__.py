"""Faces in images: detection, crops, the framing that a net was trained with."""
