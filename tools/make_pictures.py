#!/usr/bin/env python3
"""make_pictures.py DIR: write pictures of text lines, NAME.png, and their texts, NAME.png.txt.

Pillow's own font, sizes and noise of a seed, so that every machine makes the same lines.
"""

import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINES = [
    "A raddle is a comb", "it spreads warp threads", "evenly across a loom", "31 threads, one model",
    "every answer is the same", "0123456789", "Total: 48.50", "Invoice No. 20261", "Warning: hot surface",
    "Platform 9", "Open Monday to Friday", "Please hold the handrail", "Speed limit 120",
    "Made in a small workshop", "Thread count 400", "Exit", "Return to sender", "Batch 64 of 512",
    "The quick brown fox", "jumps over the lazy dog", "Room 217", "Lunch at 12:30", "Mind the gap",
    "Fragile", "Keep dry", "Serial 77-4102", "Checkout closed", "Ring the bell twice", "Level 3",
    "No smoking", "Fire door keep shut", "Height 2.10 m",
]
HEIGHT = 48


def draw(text, seed):
    """A picture of HEIGHT rows, dark on light, with a little noise."""
    generator = np.random.default_rng(seed)
    font = ImageFont.load_default(size=int(generator.integers(28, 34)))
    left, top, right, bottom = font.getbbox(text)
    width = right - left + 24
    paper = int(generator.integers(215, 256))
    ink = tuple(int(v) for v in generator.integers(0, 70, 3))
    image = Image.new("RGB", (width, HEIGHT), (paper, paper, paper))
    ImageDraw.Draw(image).text((12 - left, (HEIGHT - (bottom - top)) // 2 - top), text, ink, font)
    noise = generator.normal(0, 5, (HEIGHT, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(LINES):
        path = folder / f"line_{number:02}.png"
        draw(text, seed=number).save(path)
        path.with_name(path.name + ".txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
