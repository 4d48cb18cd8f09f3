"""Images as bytes: what is written is read again."""

import base64
import io

import numpy as np
from PIL import Image

from segstudy.core.encoded_images import data_uri, few_colours, image_bytes


def test_pixels_survive_a_png():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    content = image_bytes(Image.fromarray(pixels), "PNG", compress_level=1)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def test_few_colours_keep_their_places_and_opacities():
    places = np.array([[0, 1], [2, 3]], np.uint8)
    colours = ((0, 0, 0, 0), (255, 0, 0, 255), (0, 255, 0, 128), (1, 2, 3, 255))
    image = Image.open(io.BytesIO(few_colours(places, colours))).convert("RGBA")
    assert np.asarray(image).tolist() == [[list(colours[place]) for place in row] for row in places]


def test_a_data_uri_names_the_kind_and_holds_the_bytes():
    head, _, body = data_uri("WEBP", b"abc").partition(",")
    assert head == "data:image/webp;base64"
    assert base64.b64decode(body) == b"abc"
