"""The command line: parse, call one function of the api, print."""

import os

# Else pydantic looks for plug-ins of its own among all packages: 5 % of the time that `status` takes.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
