"""How fast a run goes: sizes of input, strides and batches chosen while it runs."""
