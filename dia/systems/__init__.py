"""Other systems, recorded once and scored as often as one likes: `python -m dia.eval record system=NAME
suite=...`.

A system is declared in eval/systems/*.yaml (`declaration.py`) and spoken to by a small client (`clients.py`
lists them). One recording on its way: `dialect.py` (the script in the system's own spelling) -> the client's
`calls` (what is sent) -> `asking.py` (tries, waits, refusals) -> `run_folder.py` (raw bytes, log of attempts)
-> `takes.py` (one waveform and one row of each take).
"""
