"""Threads and clocks: the pipeline with its links and stages, and the report of a run."""
