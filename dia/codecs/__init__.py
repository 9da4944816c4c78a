"""Audio codecs: waveforms to discrete codes and back, behind one protocol and a registry of codec types."""
