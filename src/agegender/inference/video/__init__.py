"""Frames of videos and cameras, and where annotated frames go."""
