#!/usr/bin/python3
"""Makes a folder of PNG images, one folder a class, from the emoji of Noto Color Emoji.

    tools/emoji_folder.py OUT [--side 64] [--font FILE] [--list FILE]

OUT/train/CLASS/NAME.png and OUT/test/CLASS/NAME.png: RGB on white, square. CLASS is the group of Unicode's list of
emoji, NAME the emoji's. Debian's packages fonts-noto-color-emoji (images under Apache-2.0, fonts under the SIL Open
Font License), unicode-data, python3-fonttools and python3-pil have what it needs.

Which emoji: every fully qualified one in its default skin tone. Skin tones are left out, because five near copies of
each person and hand would be more than half of the images. Of the 24 clock faces and the 26 families, which differ in
a few pixels, the first is taken. Flags are left out, because at 32 pixels they are read by their exact colours, which
augmentation changes. The group Component has no images of its own.

Which are held out: a tenth of the names, by a hash of the name without gender, age and digit, so that the variants of
one drawing lie all on one side.
"""

import argparse
import hashlib
import io
import pathlib
import re
import unicodedata

from fontTools.ttLib import TTFont
from PIL import Image

VARIATION_SELECTOR = 0xFE0F
SKIN_TONES = range(0x1F3FB, 0x1F400)
LEFT_OUT = ("Component", "Flags")
HELD_OUT_SHARE = 10  # one name in so many
MARGIN = 0.045  # white on each side over the drawing's width, so that small shifts and turns cut nothing off


def slug(text):
    """Lower-case ASCII words joined by hyphens, for the names of files and folders."""
    plain = unicodedata.normalize("NFKD", text.replace("&", "and")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def read_list(path):
    """Yields (group, name, code points) of each emoji that is wanted."""
    group, seen = None, set()
    for line in open(path, encoding="utf-8"):
        if line.startswith("# group:"):
            group = line.split(":", 1)[1].strip()
        match = re.match(r"([0-9A-F ]+); fully-qualified +# \S+ E[0-9.]+ (.+)", line)
        if not match or group in LEFT_OUT:
            continue
        points = [int(p, 16) for p in match[1].split()]
        name = match[2].strip()
        if not any(p in SKIN_TONES for p in points) and series(name) not in seen:
            seen.add(series(name))
            yield group, name, points


def series(name):
    """One name for all clock faces, one for all families, and each other emoji's own."""
    if re.search(r"o’clock$|-thirty$", name):
        return "clock face"
    return "family" if name.startswith("family") else name


def drawing(name):
    """The name without what distinguishes variants of one drawing."""
    if name.startswith("keycap"):
        return "keycap"
    name = re.sub(r"\b(woman|man|person|women|men|people|girl|boy|child)\b", "person", name)
    return re.sub(r"^(older|old) ", "", name.split(":")[0])


def is_held_out(name):
    digest = hashlib.sha256(slug(drawing(name)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_SHARE == 0


def ligatures(font):
    """{(first glyph, ...): glyph} of all ligatures of the font."""
    table = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for sub in lookup.SubTable:
            sub = getattr(sub, "ExtSubTable", sub)
            for first, sets in getattr(sub, "ligatures", {}).items():
                for ligature in sets:
                    table[(first, *ligature.Component)] = ligature.LigGlyph
    return table


def glyph_of(points, cmap, table):
    """The one glyph that the sequence is drawn with, or None."""
    points = [p for p in points if p != VARIATION_SELECTOR]
    if any(p not in cmap for p in points):
        return None
    glyphs = tuple(cmap[p] for p in points)
    return glyphs[0] if len(glyphs) == 1 else table.get(glyphs)


def bitmaps(font):
    """{glyph: PNG bytes}"""
    return {name: glyph.imageData for strike in font["CBDT"].strikeData for name, glyph in strike.items()
            if hasattr(glyph, "imageData")}


def on_white(png, side):
    """The drawing in the middle of a white square, reduced to `side` pixels."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    square = Image.new("RGBA", (round(max(image.size) * (1 + 2 * MARGIN)),) * 2, (255, 255, 255, 255))
    square.alpha_composite(image, tuple((square.width - s) // 2 for s in image.size))
    return square.convert("RGB").resize((side, side), Image.Resampling.BOX)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--side", type=int, default=64, help="pixels (default 64)")
    parser.add_argument("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    parser.add_argument("--list", default="/usr/share/unicode/emoji/emoji-test.txt")
    args = parser.parse_args()

    font = TTFont(args.font)
    cmap, table, images = font.getBestCmap(), ligatures(font), bitmaps(font)
    counts, missing = {}, []
    for group, name, points in read_list(args.list):
        png = images.get(glyph_of(points, cmap, table))
        if png is None:
            missing.append(name)
            continue
        split = "test" if is_held_out(name) else "train"
        folder = args.out / split / slug(group)
        folder.mkdir(parents=True, exist_ok=True)
        on_white(png, args.side).save(folder / (slug(name) + "-" + "-".join(f"{p:x}" for p in points) + ".png"))
        counts[slug(group), split] = counts.get((slug(group), split), 0) + 1
    for (group, split), count in sorted(counts.items()):
        print(f"{group:22} {split:5} {count}")
    print(f"{sum(counts.values())} images, {len(missing)} emoji without one: {', '.join(missing) or 'none'}")


if __name__ == "__main__":
    main()
