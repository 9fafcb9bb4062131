"""The fourth stage: results drawn on pictures."""
