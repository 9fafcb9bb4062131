"""Events after a rule has reported them: a store on disk, and senders that deliver from it."""
