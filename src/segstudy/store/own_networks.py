"""Networks from a user's own file: with which file a trained model is opened, or without any.

Nothing here runs a user's code.
"""

from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, parse, source_hash
from segstudy.store.card import Card


def is_own(card: Card, file: Path) -> bool:
    """Whether the network comes from a user's own file.

    Args:
        card: of the model.
        file: where the card lies, for the message.

    Raises:
        UserError: a name that is none.
    """
    return _component(card, file).file is not None


def own_network(card: Card, file: Path, given: str | None) -> Component | None:
    """The user's own network, with the options it was trained with; None for a network of ours.

    The hash of the user's file is compared before anything of it runs. Its name does not matter.

    Args:
        card: of the model.
        file: where the card lies, for the message.
        given: ``my.py:Net``, as the user named it; what a model's folder names is never run.

    Raises:
        UserError: not named, though it is needed; or another file than the model was trained with.
    """
    trained = _component(card, file)
    if trained.file is None:
        if given is not None:
            raise UserError(f"{file}: {card.architecture} is segstudy's own network; leave --network out")
        return None
    if given is None:
        raise UserError(
            f"{file}: its network {card.architecture!r} comes from a file of one's own, and segstudy runs no "
            f"code that a model's folder names; name it yourself: --network {trained.title}"
        )
    named = parse(given)
    if named.file is None:
        raise UserError(f"--network {given}: name the file too, as {trained.title}")
    if not named.file.is_file():
        raise UserError(f"--network {given}: {named.file} is no file; give the path to {trained.file.name}")
    if named.name != trained.name or (named.options and named.options != trained.options):
        raise UserError(f"--network {given}: the model was trained with {trained}; give {trained.title}")
    _refuse_other_source(card, file, given, source_hash(named))
    return Component(trained.name, trained.options, named.file)


def _refuse_other_source(card: Card, file: Path, given: str, found: str | None) -> None:
    numerics = card.training.get("numerics")
    wanted = numerics.get("architecture") if isinstance(numerics, dict) else None
    if not isinstance(wanted, str):
        raise UserError(
            f"{file}: does not say which version of {card.architecture} it was trained with; copy the card "
            "again from its run"
        )
    if found != wanted:
        raise UserError(
            f"--network {given}: is another version than the model was trained with (its SHA-256 begins with "
            f"{found}, that of the model's with {wanted}); give the file as it was then, or train it anew"
        )


def _component(card: Card, file: Path) -> Component:
    try:
        return parse(card.architecture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
