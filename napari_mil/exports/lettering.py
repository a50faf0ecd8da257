"""Text and scale bars on pictures."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import ImageFont

FONTS = ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf", "Helvetica.ttc", "LiberationSans-Regular.ttf")
"""Files of fonts that systems have, the first one that is found is used."""
ASCII = {"µ": "u", "×": "x", "–": "-", "…": "...", "·": "·"}
"""Letters that Pillow's own font lacks."""
ELLIPSIS = "…"
STEPS = (1, 2, 5)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache
def font_of(size: int) -> Font:
    """Return a font of so many pixels: the system's, otherwise Pillow's own."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def drawable(text: str, font: Font) -> str:
    """Return a text in letters that a font has; what cannot be printed becomes a space."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if isinstance(font, ImageFont.FreeTypeFont) and isinstance(font.path, str) and font.path:
        return text
    return "".join(ASCII.get(letter, letter if letter.isascii() else "?") for letter in text)


def fitted(text: str, font: Font, width: float) -> str:
    """Return a text that is at most so many pixels wide, shortened in the middle."""
    text = drawable(text, font)
    ellipsis = drawable(ELLIPSIS, font)
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        begins = text[: (kept + 1) // 2].rstrip()
        ends = text[len(text) - kept // 2 :].lstrip()
        if font.getlength(begins + ellipsis + ends) <= width:
            return begins + ellipsis + ends
    return ellipsis


def bar_length(longest_um: float) -> float:
    """Return the longest round length of at most so many micrometres: 1, 2 or 5 times 10^k."""
    power = 10.0 ** math.floor(math.log10(longest_um))
    return max(step * power for step in STEPS if step * power <= longest_um * (1 + 1e-9))


def length_words(um: float) -> str:
    """Return a length with its unit: ``500 µm``, ``2 mm``."""
    return f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} µm"
