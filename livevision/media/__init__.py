"""One view of a media file for those who decode it and those who copy from it."""
