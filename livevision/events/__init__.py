"""What happens to events: a store on disk, and the senders that read it."""
