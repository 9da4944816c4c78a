"""Models that listen: words, voices, sounds, quality. Used alike to label data and to evaluate speech."""
