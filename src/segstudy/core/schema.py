"""Types that several modules validate with: frozen records, positive numbers, sizes."""

from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

Positive = Annotated[int, Field(ge=1)]


def _size(value: object) -> object:
    """Convert ``"192x256"`` to (192, 256) and ``128`` to (128, 128)."""
    match value:
        case bool():
            return value
        case int():
            return (value, value)
        case str():
            sides = value.lower().split("x")
            if all(side.isdecimal() for side in sides) and len(sides) in (1, 2):
                return (int(sides[0]), int(sides[-1]))
            raise ValueError("must be N or HxW, such as 128 or 96x128")
        case list() | tuple() if len(value) != 2:
            raise ValueError("must be N or HxW, such as 128 or 96x128")
    return value


Size = Annotated[
    tuple[Annotated[int, Field(ge=32, le=8192)], Annotated[int, Field(ge=32, le=8192)]],
    BeforeValidator(_size),
]


def is_none(value: object) -> bool:
    """Whether a field is left out of JSON: ``exclude_if`` of fields that older files do not have."""
    return value is None


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None
        kind = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and {int, float} & {kind, *get_args(kind)}:
            raise ValueError("must be a number")  # pydantic would accept true as 1
        return value
