"""The sound side: codecs behind one protocol, the delay pattern, sound files. Knows nothing of text."""
