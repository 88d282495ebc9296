"""What a phone shows of a text: converted to Shift_JIS and silently cut, as the document says of `smstext`."""

from typing import Final

AU: Final = "3"
"""The value of `mobilecareer` that stands for au."""

_ONE_SMS_BYTES: Final = 140
_ONE_SMS_CHARACTERS: Final = 70
_LONG_SMS_BYTES: Final = 1340
_LONG_SMS_CHARACTERS: Final = 670

# Microsoft's table spells six JIS X 0208 characters with other code points. Which table the provider converts with is
# not documented, so either spelling arrives as it was sent.
_OTHER_SPELLINGS: Final = frozenset("\uff5e\uff0d\u2225\uffe0\uffe1\uffe2")


def what_the_phone_shows(text: str, *, carrier: str | None, long_sms: bool) -> str:
    """Return the part of `text` that arrives, as it arrives.

    `carrier` is a value of `mobilecareer` or None when the request left it out; anything but au has the stricter
    limit. `long_sms` is whether the account has the long-text option.

    The document: at most 140 bytes of Shift_JIS, the rest is cut; except on au, one two-byte character anywhere
    makes it 70 characters of any width; with the long option 670 characters (1340 bytes), taken here as both limits
    at once. A line break counts two (the provider's manual for its sister API). The document does not say what
    becomes of a character Shift_JIS lacks: here it becomes "?".
    """
    received = [_received(character) for character in text.replace("\r\n", "\n").replace("\r", "\n")]
    byte_limit = _LONG_SMS_BYTES if long_sms else _ONE_SMS_BYTES
    character_limit = _LONG_SMS_CHARACTERS if long_sms else byte_limit
    has_wide = any(size == 2 and shown != "\n" for shown, size in received)
    if not long_sms and carrier != AU and has_wide:
        character_limit = _ONE_SMS_CHARACTERS

    arrived: list[str] = []
    used_bytes = used_characters = 0
    for shown, size in received:
        used_bytes += size
        used_characters += 2 if shown == "\n" else 1
        if used_bytes > byte_limit or used_characters > character_limit:
            break
        arrived.append(shown)
    return "".join(arrived)


def _received(character: str) -> tuple[str, int]:
    """One character after its way through Shift_JIS, and the bytes it took."""
    if character == "\n":
        return character, 2
    if character in _OTHER_SPELLINGS:
        return character, 2
    encoded = character.encode("shift_jis", "replace")
    return encoded.decode("shift_jis"), len(encoded)
