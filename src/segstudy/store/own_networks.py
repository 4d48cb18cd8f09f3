"""Networks that are not ours: the code with which a trained model is opened, if any.

Nothing of a user's own file or of an installed package is run here: the code is only compared with the code
that the model was trained with.
"""

from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, parse, source_version
from segstudy.store.card import Card


def is_own(card: Card, file: Path) -> bool:
    """Whether the network is not ours: from a user's file, an installed package or a plug-in.

    Args:
        card: of the model.
        file: of the card, for the message.

    Raises:
        UserError: an invalid name.
    """
    component = _component(card, file)
    return bool(component.file or component.module) or _trained_version(card) is not None


def own_network(card: Card, file: Path, given: str | None) -> Component | None:
    """Return the network that is not ours, with the options it was trained with; None for a network of ours.

    The hash of the user's file is compared before anything of it runs. Its name does not matter. A network
    of an installed package must be named by the user too: else a model's folder could make segstudy call
    any installed function. A plug-in's network is found by its name, as plug-ins offer only networks;
    its version is compared when it is built.

    Args:
        card: of the model.
        file: of the card, for the message.
        given: ``my.py:Net`` or ``package.module:Net``, as the user named it; code that only a model's
            folder names is never run.

    Raises:
        UserError: needed but not named; or another file or version than the model was trained with.
    """
    trained = _component(card, file)
    if not is_own(card, file):
        if given is not None:
            raise UserError(f"{file}: {card.architecture} is segstudy's own network; omit --network")
        return None
    is_plugin = trained.file is None and trained.module is None
    if given is None and is_plugin:
        return trained
    if given is None:
        origin = "a file of your own" if trained.file else "an installed package"
        raise UserError(
            f"{file}: its network {card.architecture!r} comes from {origin}, and segstudy runs no "
            f"code that a model's folder names; name it yourself: --network {trained.title}"
        )
    named = _named(given, trained)
    if not is_plugin:
        refuse_other_version(card, file, f"--network {given}", source_version(named))
    return Component(trained.name, trained.options, named.file, named.module)


def _named(given: str, trained: Component) -> Component:
    """Return what a user named, if the model was trained with it, in any version."""
    named = parse(given)
    if trained.file is not None:
        if named.file is None:
            raise UserError(f"--network {given}: name the file too, as {trained.title}")
        if not named.file.is_file():
            raise UserError(
                f"--network {given}: {named.file} is not a file; give the path to {trained.file.name}"
            )
    same = (named.name, named.module, named.file is None) == (
        trained.name,
        trained.module,
        trained.file is None,
    )
    if not same or (named.options and named.options != trained.options):
        raise UserError(f"--network {given}: the model was trained with {trained}; give {trained.title}")
    return named


def refuse_other_version(card: Card, file: Path, what: str, found: str | None) -> None:
    """Refuse code of another version than the model was trained with.

    Args:
        card: of the model.
        file: of the card, for the message.
        what: the name of the code in the message.
        found: the present hash of the file, or version of the package.

    Raises:
        UserError: it is another version, or the card does not name one.
    """
    wanted = _trained_version(card)
    if wanted is None:
        raise UserError(
            f"{file}: does not say which version of {card.architecture} it was trained with; copy the card "
            "again from its run"
        )
    if found == wanted:
        return
    if wanted.count(" ") > 1:
        name, version, _ = wanted.split(" ", 2)
        raise UserError(
            f"{what}: the model was trained with {wanted}, and {found} is installed (package, version, "
            f"SHA-256 of its file); pip install {name}=={version}, or train it again"
        )
    raise UserError(
        f"{what}: is another version than the model was trained with (its SHA-256 begins with "
        f"{found}, that of the model's with {wanted}); give the file as it was then, or train it again"
    )


def _trained_version(card: Card) -> str | None:
    """Return the hash of the file, or the version of the package, with which a network was trained."""
    numerics = card.training.get("numerics")
    found = numerics.get("architecture") if isinstance(numerics, dict) else None
    return found if isinstance(found, str) else None


def _component(card: Card, file: Path) -> Component:
    try:
        return parse(card.architecture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
