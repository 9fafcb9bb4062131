"""Scores of predictions against the ground truth; numpy only, for training and evaluation."""
