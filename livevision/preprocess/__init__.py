"""The second stage: images laid into the inputs of nets, and what nets find laid back on images."""
