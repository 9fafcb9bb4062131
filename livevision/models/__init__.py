"""Models: the shipped ones, one as a callable, those of a run, their files in lower precision."""
