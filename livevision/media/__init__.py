"""What reading and copying a media file share: its clock, codecs and extra streams."""
