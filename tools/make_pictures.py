#!/usr/bin/env python3
"""make_pictures.py DIR: write pictures of text lines, NAME.png, and their texts, NAME.png.txt.

Pillow's own font, and WenQuanYi Micro Hei for Chinese; sizes and noise come from a seed, so that every
machine makes the same lines.
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
CHINESE_LINES = ["织布机", "请勿吸烟", "出口在左边", "今天天气很好", "多个线程同时运行", "第31号站台"]
CHINESE_FONT = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"  # Debian's fonts-wqy-microhei


def draw(text, seed):
    """A picture of one line, dark on light, with a little noise; its height is seldom the model's."""
    generator = np.random.default_rng(seed)
    height = int(generator.integers(36, 73))
    size = int(height * generator.uniform(0.58, 0.7))
    font = (ImageFont.load_default(size) if text.isascii()
            else ImageFont.truetype(CHINESE_FONT, size))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    paper = int(generator.integers(215, 256))
    ink = tuple(int(v) for v in generator.integers(0, 70, 3))
    margin = height // 4
    image = Image.new("RGB", (right - left + 2 * margin, height), (paper, paper, paper))
    at = margin - left, (height - (bottom - top)) // 2 - top
    ImageDraw.Draw(image).text(at, text, ink, font)
    noise = generator.normal(0, 5, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.png.txt")]:
        old.unlink()
    for number, text in enumerate(LINES + CHINESE_LINES):
        path = folder / f"line_{number:02}.png"
        draw(text, seed=number).save(path)
        path.with_name(path.name + ".txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
