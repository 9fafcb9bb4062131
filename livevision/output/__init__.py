"""The fifth stage: finished frames into windows, videos, pictures and records."""
