"""Runs one row by its id, or lists all rows."""
import importlib
import json
import os
import signal
import sys

import common

for module in ("dns", "resolvers", "tls", "web", "ports", "packets", "places", "zones", "proxies", "disturb", "tamper", "ordinary"):
    importlib.import_module(module)

if sys.argv[1:] == ["--list"]:
    print(json.dumps([row for row, _ in common.ROWS.values()]))
else:
    signal.alarm(int(os.environ["LIMIT"]))
    common.ROWS[sys.argv[1]][1]()
