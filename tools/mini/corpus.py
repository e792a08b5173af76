#!/usr/bin/env python3
"""Makes the story corpus of the miniature: tinystories_lowercase.txt -> stories_train.jsonl.gz and stories_held_out.jsonl.gz.

usage: corpus.py SOURCE.txt OUT_FOLDER

SOURCE is the file tinystories.txt of github.com/Arnoochka/Transformer-Parallelism at 911b9e732fbe6d228ba0feacbd6735395f0d279e
(sha256 in SOURCE_SHA256): about 5,000 stories of TinyStories (Eldan and Li 2023, CDLA-Sharing-1.0), lower-cased.  A blank line
parts paragraphs; a line that follows a filled line directly begins another story, or is a wrong split inside one.

The same input gives the same bytes.
"""
import gzip
import hashlib
import json
import pathlib
import re
import sys

SOURCE_SHA256 = "30c6f2fac206d82e76b80dbbede28f6b5415c8d8571dde6bfd8226ab41744a2c"
HELD_OUT_SHARE = 0.06

# UTF-8 that was read as Windows-1252 and then lower-cased; the bytes without a character there are lost.
MOJIBAKE = [("â€œ", '"'), ("â€™", "'"), ("â€˜", "'"), ("â€“", "-"), ("â€”", "-"), ("â€”", "-"), ("â€¦", "..."), ("â€", '"'),
            ("ã±", "n"), ("ã¡", "a"), ("ã©", "e"), ("ã³", "o"), ("«", '"'), ("»", '"'), ("â", "")]

OPENING = re.compile(r"(once\b|one \w+|one\b|there (was|were|once)|it was|in an? |on an? |a (little|small|young|boy|girl|big)|the sun was|today|"
                     r"(the )?[a-z]+( and [a-z' ]+)? (was|were|is|are|had|has|loved|liked|likes|like|went|lived|wanted|woke|walked)\b|"
                     r"(mummy|mommy|mom|mama|mum|daddy|grandma|\w+) and \w+)")
FRAGMENT = re.compile(r"(\"|'|then\b|so\b|but\b|and\b|from then|after\b|suddenly|finally|he\b|she\b|they\b|it\b(?! was a)|his\b|her\b|their\b|when\b|"
                      r"the (kids|children|end)\b)")
SHORT = 350   # characters; a whole story has more


def mend(text):
    for bad, good in MOJIBAKE:
        text = text.replace(bad, good)
    return re.sub(r"[ \t]+", " ", text).strip()


def blocks_of(text):
    """Runs of lines without a filled line directly after a filled one."""
    blocks, current, after_filled = [], [], False
    for line in text.split("\n"):
        if not line.strip():
            after_filled = False
            continue
        if after_filled:
            blocks.append(current)
            current = []
        current.append(mend(line))
        after_filled = True
    return blocks + [current]


def join_wrong_splits(blocks):
    """A short one-paragraph block that does not open a story continues the short block before it."""
    stories, open_story = [], False
    for block in blocks:
        short = len(block) == 1 and len(block[0]) < SHORT
        if open_story and short and not (OPENING.match(block[0]) and not FRAGMENT.match(block[0])):
            stories[-1] = stories[-1] + block
        else:
            stories.append(list(block))
            open_story = short
    return stories


def is_clean(story):
    text = "\n\n".join(story)
    return (300 <= len(text) <= 2200 and text.isascii() and OPENING.match(text) and not FRAGMENT.match(text)
            and text[-1] in '.!?"' and text.count('"') % 2 == 0 and not re.search(r"[<>{}\[\]_|@#\\^~=]", text))


def held_out(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT_SHARE


def write_jsonl_gz(path, rows):
    with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as out:
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def read_jsonl_gz(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main():
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    data = source.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{source} has sha256 {found}, the corpus is made from {SOURCE_SHA256}")
    blocks = blocks_of(data.decode())
    joined = join_wrong_splits(blocks)
    clean = list(dict.fromkeys("\n\n".join(story) for story in joined if is_clean(story)))
    train = [{"text": text} for text in clean if not held_out(text)]
    test = [{"text": text} for text in clean if held_out(text)]
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl_gz(out / "stories_train.jsonl.gz", train)
    write_jsonl_gz(out / "stories_held_out.jsonl.gz", test)
    print(f"{len(blocks)} blocks, {len(joined)} after joining wrong splits, {len(clean)} clean and different stories: "
          f"{len(train)} to train on, {len(test)} held out")


if __name__ == "__main__":
    main()
