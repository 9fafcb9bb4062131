"""Models: the shipped ones, the model as a callable, a run's models, and lower precision."""
