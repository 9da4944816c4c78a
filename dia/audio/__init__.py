"""Audio files and time stretching: waveforms in and out, without models."""
