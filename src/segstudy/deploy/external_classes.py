"""The classes of an external data set: those of the model that is tested on it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.core.outputs import Outputs, outputs_of


def meaning_for(protocol: Mapping[str, Any], asked: MaskMeaning) -> MaskMeaning:
    """The meaning of an external data set's masks: with the model's classes and values if none are named.

    Args:
        protocol: of the model's training.
        asked: the user's.

    Raises:
        UserError: other classes than the model's.
    """
    classes = parse_classes(protocol["classes"]) if protocol.get("classes") else ()
    own, given = outputs_of(classes), outputs_of(asked.classes)
    if classes and asked.foreground is not None:
        raise UserError(f"foreground: the model gives the classes {_names(own)}; name them with --classes")
    if not asked.classes:
        ignore = asked.ignore or (tuple(protocol.get("ignore") or ()) if classes else ())
        return replace(asked, classes=classes, ignore=ignore)
    if given != own:
        wanted = f"the classes {_names(own)}, in this order" if classes else "foreground alone (--foreground)"
        raise UserError(f"classes: the model gives {wanted}, got {_names(given)}")
    return asked


def _names(outputs: Outputs) -> str:
    return ", ".join(outputs.names)
