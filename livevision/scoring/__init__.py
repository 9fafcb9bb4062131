"""Scores of what nets find against the truth; numpy only, used by training and by evaluation."""
