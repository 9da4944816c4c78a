"""Record other text-to-speech systems once, with `python -m dia.eval record`, and score them later.

A system is a YAML declaration (`eval/systems/NAME.yaml`, checked by `declaration.py`) and a client that sends
the requests (`clients.py`; `http_client.py` needs no code). The path of one recording: `script_rendering.py`
writes the script with the system's own tags, the client's `build_requests` returns the requests,
`request_sender.py` sends and retries them, `recording_folder.py` stores every raw response and a log of all
attempts, and `take_rows.py` writes one waveform and one row for each take. `read_recordings.py` reads the
result without network access.
"""
