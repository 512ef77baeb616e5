"""Offline care of a data set: is it sound, what is in it, smaller copies, what training sees of it."""
