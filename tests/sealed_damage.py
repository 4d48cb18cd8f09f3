"""Ways in which a derived file with a seal may be damaged; none of them may be believed."""

from collections.abc import Callable

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "altered": lambda content: content.replace(b"unet", b"uuet", 1),
    "another version": lambda content: b"0" + content[1:],
    "another content": lambda _: b"1 \n{}",
    "no text": lambda _: b"\xff" * 100,
    "deep": lambda _: b"[" * 100_000,
}
