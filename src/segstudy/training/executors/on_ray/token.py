"""The token that a Ray cluster may ask for: an error of its own where it is missing or wrong."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segstudy.core.errors import UserError

SIGNS = ("AuthenticationError", "InvalidAuthToken", "authentication token")  # in what Ray raises for it
VARIABLE = "RAY_AUTH_MODE"


def refuse_wrong_token(ray: Any, address: str) -> None:
    """Ask a cluster once whether it accepts the token of this process.

    ``ray.init`` asks 20 times, for 20 s in Ray 2.60, and prints a line each time.

    Raises:
        UserError: it does not; the message says how to give the token.
    """
    try:
        from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled

        client = ray._raylet.GcsClient
    except (ImportError, AttributeError):  # Ray's own, so they may have another name in another version
        return
    try:
        ensure_token_if_auth_enabled(create_token_if_missing=False)  # the client ends the process without one
        with _without_lines():
            client(address=address)
    except ray.exceptions.AuthenticationError:
        raise token_error(address) from None
    except Exception:  # anything else is said by ray.init, which asks again
        return


def is_of_token(error: BaseException) -> bool:
    """Whether an error of Ray's has a missing or wrong token as its cause.

    >>> is_of_token(ConnectionError("no answer"))
    False
    """
    texts: list[str] = []
    each: BaseException | None = error
    while each is not None and len(texts) < 10:
        texts.append(f"{type(each).__name__}: {each}")
        each = each.__cause__ or each.__context__
    return any(sign in text for sign in SIGNS for text in texts)


def token_error(address: str) -> UserError:
    """Return the error for a cluster that does not accept the token of this process."""
    the_cluster = f"the Ray cluster {f'at {address}' if address else 'on this machine'}"
    if os.environ.get(VARIABLE, "").lower() == "token":
        remedy = (
            "does not accept the token of this process, or there is none: copy ~/.ray/auth_token from the "
            "machine with its head node, or set RAY_AUTH_TOKEN"
        )
    else:
        remedy = (
            f"asks for a token: run `export {VARIABLE}=token`, then this command again; Ray reads the token "
            "from RAY_AUTH_TOKEN or ~/.ray/auth_token, and it must be that of the cluster"
        )
    own = "" if address else "; or use --ray-address local, which starts another cluster"
    return UserError(f"{the_cluster} {remedy}{own}")


@contextmanager
def _without_lines() -> Iterator[None]:
    """Discard the lines that Ray's library writes to the standard error output of the process."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
