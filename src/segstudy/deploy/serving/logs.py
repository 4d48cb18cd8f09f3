"""A line of JSON for whatever the server and its libraries have to say."""

import json
import logging
import sys
import time
import traceback

LOGGERS = ("segstudy.serve", "uvicorn", "uvicorn.error", "asyncio", "py.warnings")


class JsonLines(logging.Formatter):
    """A record as one line; of an error its kind, what it says and where it comes from."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))}
        if isinstance(record.msg, dict):
            line |= record.msg
        else:
            line |= {"level": record.levelname.lower(), "message": record.getMessage().strip()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            line["error"] = f"{type(error).__name__}: {error}"
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Have all of it on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in LOGGERS:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # callers could fill the log
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("segstudy.serve").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
