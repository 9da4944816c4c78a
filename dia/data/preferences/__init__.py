"""Pairs of a preferred and a rejected take of one script: as rows on disk, and as samples of training."""
