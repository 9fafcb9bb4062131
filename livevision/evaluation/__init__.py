"""Scores: of a model on labelled pictures, and of tracks on labelled sequences, run as on video."""
