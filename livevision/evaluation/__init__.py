"""Scores of models on labelled pictures and of trackers on labelled sequences, run as on video."""
