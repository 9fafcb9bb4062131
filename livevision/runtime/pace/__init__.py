"""Adapts input sizes, strides and batches during a run."""
