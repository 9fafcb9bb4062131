"""Output: sinks for finished frames (windows, videos, pictures, records)."""
