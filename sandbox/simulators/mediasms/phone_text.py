"""Converts a text to what a phone shows: in Shift_JIS and silently cut, as the document says of `smstext`."""

from typing import Final

AU: Final = "3"
"""The value of `mobilecareer` that stands for au."""

_ONE_SMS_BYTES: Final = 140
_ONE_SMS_CHARACTERS: Final = 70
_LONG_SMS_BYTES: Final = 1340
_LONG_SMS_CHARACTERS: Final = 670

# Microsoft's table spells six JIS X 0208 characters with other code points. The document does not say which table the
# provider converts with, so both spellings arrive as they were sent.
_ALTERNATIVE_SPELLINGS: Final = frozenset("\uff5e\uff0d\u2225\uffe0\uffe1\uffe2")


def text_on_phone(text: str, *, carrier: str | None, long_sms: bool) -> str:
    """Return the part of `text` that a phone shows, as it shows it.

    The document limits a text to 140 bytes of Shift_JIS; the rest is cut. On every carrier but au, one two-byte
    character anywhere makes the limit 70 characters of any width. With the long option the limit is 670 characters
    (1340 bytes), taken here as both limits at once. A line break counts two, as the provider's manual for its sister
    API says. The document does not say what becomes of a character that Shift_JIS lacks: here it becomes "?".

    Args:
        text: the text of the request.
        carrier: a value of `mobilecareer`, None if the request has none. Any but au has the stricter limit.
        long_sms: True if the account has the long-text option.
    """
    characters = [_convert_character(character) for character in text.replace("\r\n", "\n").replace("\r", "\n")]
    byte_limit = _LONG_SMS_BYTES if long_sms else _ONE_SMS_BYTES
    character_limit = _LONG_SMS_CHARACTERS if long_sms else byte_limit
    has_wide = any(size == 2 and character != "\n" for character, size in characters)
    if not long_sms and carrier != AU and has_wide:
        character_limit = _ONE_SMS_CHARACTERS

    arrived: list[str] = []
    used_bytes = used_characters = 0
    for character, size in characters:
        used_bytes += size
        used_characters += 2 if character == "\n" else 1
        if used_bytes > byte_limit or used_characters > character_limit:
            break
        arrived.append(character)
    return "".join(arrived)


def _convert_character(character: str) -> tuple[str, int]:
    """Return a character after its conversion to Shift_JIS, and the number of bytes that it takes."""
    if character == "\n":
        return character, 2
    if character in _ALTERNATIVE_SPELLINGS:
        return character, 2
    encoded = character.encode("shift_jis", "replace")
    return encoded.decode("shift_jis"), len(encoded)
