"""Labelled pictures on disk, whatever their format: opened, checked, and read one by one."""
