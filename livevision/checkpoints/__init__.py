"""Checkpoints of other projects: recognised by tensor names, converted strictly, with a card.

`livevision.checkpoints.importing.import_checkpoint` is the entry point. A layout is a table from
the modules of the other project's net to ours, see `livevision.checkpoints.layout`; file names are
never used.
"""
