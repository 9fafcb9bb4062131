"""Capture: frames from cameras, files, streams, pictures and made-up scenes.

Each source stands in its own file and is named in ``livevision.registry.SOURCES``; ``locate`` says
which of them a user's ``--source`` means.
"""
