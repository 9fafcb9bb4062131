"""Checkpoints of other projects: recognised by their keys, converted strictly, written with a card.

`livevision.checkpoints.importing.import_checkpoint` is the way in. A layout is a table from the
modules of the other project's net to those of ours, see `livevision.checkpoints.layout`; nothing
goes by file names.
"""
