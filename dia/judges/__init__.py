"""Models that measure audio (words, voices, sounds, quality), used to label data and to evaluate speech."""
