"""The ways to send an image: the file itself, a form with one file, or base64 in JSON.

Each has the same limit for the image's file. A form is read piece by piece, so that only the file is kept in
memory. JSON is decoded after it was received; then it takes twice its size for a moment.
"""

import binascii
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from segstudy.deploy.serving.limits import Limits

FORM, JSON = "multipart/form-data", "application/json"
IMAGES = (
    *("image/png", "image/jpeg", "image/bmp", "image/tiff", "image/gif", "image/webp"),
    *("image/x-portable-pixmap", "application/dicom", "application/octet-stream"),
)
# What programs send that do not know the type: object stores, and curl --data-binary without a header.
UNNAMED = ("", "binary/octet-stream", "application/x-www-form-urlencoded")
HOW = (
    "send the image's file itself (curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'), a form with "
    'one file (curl -F image=@photo.jpg), or JSON {"image": "<base64>"}'
)
IN_THE_ADDRESS = "options belong in the address, as /segment?threshold=0.4"
AROUND_BYTES = 64 * 1024  # that a form or JSON may have beside the file
BINARY = {"type": "string", "format": "binary"}
BASE64 = {"type": "string", "format": "byte", "description": "The file in base64, also as a data URL."}


class Body(Protocol):
    """A request's body while it is received."""

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            HTTPException: too large, or not of this kind.
        """

    def take(self) -> bytes:
        """The image's file, once; what else was kept is given up.

        Raises:
            HTTPException: there is none, or it cannot be decoded.
        """


@dataclass(frozen=True)
class BodyKind:
    """One way to send an image.

    Attributes:
        media: content types, as the description of the interface lists them.
        accepts: whether a content type is of this kind.
        described: the body, as the description of the interface has it.
        open: a new body, from the whole header Content-Type and the limits.
        max_bytes: of the whole body.
    """

    media: tuple[str, ...]
    accepts: Callable[[str], bool]
    described: Mapping[str, Any]
    open: Callable[[str, Limits], Body]
    max_bytes: Callable[[Limits], float]


def too_large(limits: Limits) -> HTTPException:
    """The answer to an image whose file is larger than the limit."""
    return HTTPException(
        413, f"more than {limits.bytes / 1e6:g} MB; send a smaller file", {"Connection": "close"}
    )


def kind_of(content_type: str) -> BodyKind:
    """The kind of a body with this Content-Type.

    Raises:
        HTTPException: none.
    """
    media = content_type.partition(";")[0].strip().lower()
    for kind in BODIES:
        if kind.accepts(media):
            return kind
    raise HTTPException(415, f"Content-Type {media[:60]!r}: not understood; {HOW}")


class _File:
    """The image's file itself."""

    def __init__(self, _: str, limits: Limits):
        self._limits, self._content, self._num_bytes = limits, io.BytesIO(), 0

    def write(self, piece: bytes) -> None:
        self._num_bytes += self._content.write(piece)
        if self._num_bytes > self._limits.bytes:
            raise too_large(self._limits)

    def take(self) -> bytes:
        content, self._content = self._content.getvalue(), io.BytesIO()  # shares the memory
        return content


class _Form:
    """A form with one file, as browsers and ``curl -F`` send it; only the file is kept."""

    def __init__(self, content_type: str, limits: Limits):
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        self._file = _File(content_type, limits)
        self._num_files, self._num_around, self._in_file, self._ended = 0, 0, False, False
        self._name, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            boundary = b""
        if not boundary:
            raise HTTPException(415, f"{FORM}: without a usable boundary; {HOW}")

    def write(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError:
            raise HTTPException(422, f"the form is malformed; {HOW}") from None

    def take(self) -> bytes:
        if not self._ended:
            raise HTTPException(422, "the form is cut off: its last boundary is missing; send it again")
        if not self._num_files:
            raise HTTPException(422, f"the form contains no file; {HOW}")
        return self._file.take()

    def _begin_part(self) -> None:
        self._headers, self._in_file = {}, False

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.strip().lower()] = self._value.strip()
        self._name = self._value = b""

    def _end_headers(self) -> None:
        about = parse_options_header(self._headers.get(b"content-disposition"))[1]
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").decode("latin-1").lower()
        if encoding not in ("binary", "8bit", "7bit"):
            raise HTTPException(415, f"Content-Transfer-Encoding: {encoding[:40]}: send the file as it is")
        has_type = self._headers.get(b"content-type", b"").startswith(
            (b"image/", b"application/octet-stream")
        )
        if b"filename" not in about and not has_type:
            name = about.get(b"name", b"").decode("utf-8", "replace")[:60]
            raise HTTPException(
                422, f"form field {name!r}: a form contains one file and nothing else; {IN_THE_ADDRESS}"
            )
        self._num_files += 1
        self._in_file = True
        if self._num_files > 1:
            raise HTTPException(422, "the form contains several files; send each in its own request")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._file.write(data[start:end])

    def _end(self) -> None:
        self._ended = True

    def _count(self, num_bytes: int) -> None:
        """Count what is kept beside the file; the parser itself keeps nothing."""
        self._num_around += num_bytes
        if self._num_around > AROUND_BYTES:
            raise HTTPException(
                422, "the form's headers are too long; send a form with one file and nothing else"
            )


# The value of the key "image", cut out before the rest is parsed: a parser may need far more memory than the
# text has.
_IMAGE = re.compile(rb'"image"\s*+:\s*+"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_DATA_URL = re.compile(rb"data:[^,]{0,200};base64,", re.IGNORECASE)
_USUAL = bytes.maketrans(b"-_", b"+/")  # base64 of addresses as the usual one
_BREAKS = b" \t\r\n"


class _Json:
    """``{"image": "<base64>"}``, also with a data URL."""

    def __init__(self, _: str, limits: Limits):
        self._limits, self._content = limits, io.BytesIO()

    def write(self, piece: bytes) -> None:
        self._content.write(piece)
        if self._content.tell() > max_json_bytes(self._limits):
            raise too_large(self._limits)

    def take(self) -> bytes:
        content, self._content = self._content.getvalue(), io.BytesIO()
        found = _IMAGE.search(content)
        _check_rest(content, found)
        assert found
        text = found[1]
        del content, found  # which hold as much
        if b"\\" in text:
            text = _unescaped(text)
        if text[:5].lower() == b"data:":
            url = _DATA_URL.match(text)
            if url is None:
                raise HTTPException(
                    422, '"image" is a data URL without base64; send data:image/png;base64,...'
                )
            text = text[url.end() :]
            del url
        text = text.translate(_USUAL, _BREAKS).rstrip(b"=")
        if len(text) * 3 // 4 > self._limits.bytes:
            raise too_large(self._limits)
        text += b"=" * (-len(text) % 4)
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise HTTPException(422, f'"image" is not base64; {HOW}') from None


def _check_rest(content: bytes, found: "re.Match[bytes] | None") -> None:
    """Refuse JSON that holds anything beside the image.

    Raises:
        HTTPException: no JSON, no image, or further keys.
    """
    rest = content if found is None else content[: found.start(1)] + content[found.end(1) :]
    if len(rest) > AROUND_BYTES:
        raise HTTPException(422, f"the JSON has no image, or too much else; {HOW}")
    try:
        value = json.loads(rest)
    except (ValueError, RecursionError):
        raise HTTPException(422, f"the body is not JSON; {HOW}") from None
    if not isinstance(value, dict) or value.get("image") != "" or found is None:
        raise HTTPException(422, f"the JSON has no image; {HOW}")
    if others := sorted(value.keys() - {"image"}):
        raise HTTPException(422, f"JSON key {others[0][:60]!r}: not understood; {IN_THE_ADDRESS}")


def _unescaped(text: bytes) -> bytes:
    r"""The text of a JSON string: some programs write ``\/`` and ``\u002B`` for two signs of base64."""
    try:
        return str(json.loads(b'"%b"' % text)).encode("ascii")
    except ValueError:
        raise HTTPException(422, f'"image" is not base64; {HOW}') from None


def max_json_bytes(limits: Limits) -> float:
    """The largest body in JSON: base64 takes 4/3 of the file, and more with escapes and line breaks."""
    return 1.5 * limits.bytes + AROUND_BYTES


def _object_with(image: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"image": dict(image)},
        "required": ["image"],
        "additionalProperties": False,
    }


BODIES = (
    BodyKind(
        (FORM,),
        FORM.__eq__,
        {"schema": _object_with(BINARY), "encoding": {"image": {"contentType": ", ".join(IMAGES)}}},
        _Form,
        lambda limits: limits.bytes + AROUND_BYTES,
    ),
    BodyKind((JSON,), JSON.__eq__, {"schema": _object_with(BASE64)}, _Json, max_json_bytes),
    BodyKind(
        IMAGES,
        lambda media: media.startswith("image/") or media in (*IMAGES, *UNNAMED),
        {"schema": BINARY},
        _File,
        lambda limits: limits.bytes,
    ),
)
