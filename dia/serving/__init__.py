"""The server `python -m dia.serve`: speech over HTTP, many requests at a time (extra `serve`)."""
