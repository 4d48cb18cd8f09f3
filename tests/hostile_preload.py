"""The server of the corpus imports all of segstudy once, so that each case need not.

Some cases run as another user, who may not be able to read the folder that Python lies in. What a library
imports at its first use is therefore imported here too.
"""

import importlib
import pkgutil
import zoneinfo  # noqa: F401  which a library imports when it first meets a date

import segstudy

for _module in pkgutil.walk_packages(segstudy.__path__, "segstudy."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
