"""How a damaged picture shows itself."""

import struct

from PIL import Image

UNDECODABLE = (
    OSError, SyntaxError, ValueError, Image.DecompressionBombError, struct.error, TypeError, AttributeError)
"""What PIL raises for a damaged picture; the last three for EXIF whose values have other types than its tags."""
