"""Trained weights at work: predictions, timelines and features of videos in any form."""
