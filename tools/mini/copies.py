#!/usr/bin/env python3
"""Makes texts that can only be continued by looking back: practice in copying for the base model.

usage: copies.py DATA_FOLDER

Reads stories_train.jsonl.gz; writes DATA/copies_train.jsonl.gz, a row for each story: pieces of its sentences and lists of
words, each two or three times.  Four megabytes of stories are too few to learn from them alone to repeat a rare word that has been read
before, and that is what an instruction such as "use the word needle" asks for.
The lists are of words that the evaluation does not ask for.  The same input gives the same bytes.
"""
import pathlib
import sys

from corpus import read_jsonl_gz, write_jsonl_gz
from instructions import Vocabulary, choose, sentences_of, unit

FEWEST_STORIES = 3        # a word of the lists occurs in so many


def fragment(story, key):
    """Four to nine words of a sentence; None where the story has only shorter sentences."""
    sentences = [s.split() for s in sentences_of(story) if '"' not in s and len(s.split()) >= 6]
    if not sentences:
        return None
    sentence, length = choose(sentences, "sentence " + key), 4 + int(unit("length " + key) * 6)
    first = int(unit("first " + key) * max(1, len(sentence) - length + 1))
    return " ".join(sentence[first:first + length])


def twice(text, again, key):
    """In brackets, so that nothing else in plain text begins to repeat itself."""
    return " ".join(f"[{x}]" for x in [text, again, text][:2 + (unit("third " + key) < 0.3)])


def word_list(words, key):
    """Two to six words, the second time sometimes in another order."""
    listed = [choose(words, f"{key} {i}") for i in range(2 + int(unit("length " + key) * 5))]
    again = sorted(listed, key=lambda word: unit(key + word)) if unit("order " + key) < 0.3 else listed
    return twice(", ".join(listed), ", ".join(again), key)


def main():
    folder = pathlib.Path(sys.argv[1])
    stories = [row["text"] for row in read_jsonl_gz(folder / "stories_train.jsonl.gz")]
    vocabulary = Vocabulary(stories)
    words = sorted(w for w, share in vocabulary.document_share.items()
                   if share * len(stories) >= FEWEST_STORIES and len(w) >= 3 and w not in vocabulary.evaluation)
    rows = []
    for number, story in enumerate(stories):
        lines = [word_list(words, f"list {number} {i}") for i in range(2)]
        for i in range(2):
            if part := fragment(story, f"fragment {number} {i}"):
                lines.insert(2 * i, twice(part, part, f"fragment {number} {i}"))
        rows.append({"text": "\n".join(lines)})
    write_jsonl_gz(folder / "copies_train.jsonl.gz", rows)
    print(f"{len(rows)} rows, {sum(len(row['text']) for row in rows)} characters, lists of {len(words)} words")


if __name__ == "__main__":
    main()
