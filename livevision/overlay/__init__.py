"""Overlay: draws results on pictures."""
