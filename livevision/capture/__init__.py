"""Capture: sources of frames (cameras, files, streams, pictures, synthetic scenes).

Each source has its own file and is named in ``livevision.registry.SOURCES``; ``locate`` chooses the
one for a user's ``--source``.
"""
