"""The photo as the clip needs it: as many pixels as it shows, and no more."""

import cv2

OVERSAMPLING = 1.15  # texels a pixel at rest: sharp under bilinear fetches, and no shimmer for want of mip maps
MAX_TEXTURE = 16384  # pixels a side: what every OpenGL 4 driver takes; only long panoramas reach it


def texture_size(photo_width, photo_height, share, pixels):
    """Size (width, height) of the texture that shows `share` of the photo's width on `pixels` output pixels."""
    scale = min(OVERSAMPLING * pixels / (share * photo_width), MAX_TEXTURE / max(photo_width, photo_height))
    return tuple(max(2, round(s * scale)) for s in (photo_width, photo_height))


def resized(photo, size):
    """The photo (h, w, 3) uint8 at another (width, height): area average where it shrinks, cubic where it grows."""
    grows = size[0] > photo.shape[1]
    return cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC if grows else cv2.INTER_AREA)
