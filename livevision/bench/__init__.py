"""Benchmarks on this machine: the pipeline, each net, and the parts of a net."""
