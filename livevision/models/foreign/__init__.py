"""Third-party graphs: recognised or described, and their outputs decoded."""
