"""Codecs: waveforms to discrete codes and back, behind one protocol and a registry."""
