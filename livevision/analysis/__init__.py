"""What is known over time: tracks, lines and zones, and the events that rules make of them."""
