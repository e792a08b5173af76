#!/usr/bin/env python3
"""Makes texts that can only be continued by looking back: practice in copying for the base model.

usage: copies.py DATA_FOLDER

Reads stories_train.jsonl.gz; writes DATA/copies_train.jsonl.gz, two rows for each story: a few of its sentences given twice, and lists of
words given two or three times.  Four megabytes of stories are too few to learn from them alone to repeat a rare word that has been read
before, and that is what an instruction such as "use the word needle" asks for.
The lists are of words that the evaluation does not ask for.  The same input gives the same bytes.
"""
import pathlib
import sys

from corpus import read_jsonl_gz, write_jsonl_gz
from instructions import Vocabulary, choose, sentences_of, unit

FEWEST_STORIES = 3        # a word of the lists occurs in so many


def echo(story, key):
    """One or two sentences, twice; None where the story has only sentences with half a quotation."""
    sentences = [s for s in sentences_of(story) if s.count('"') % 2 == 0]
    if not sentences:
        return None
    first = int(unit("first " + key) * len(sentences))
    part = " ".join(sentences[first:first + 1 + int(unit("more " + key) * 2)])
    return part + "\n\n" + part


def word_list(words, key):
    """Two to six words, two or three times, the second time sometimes in another order."""
    listed = [choose(words, f"{key} {i}") for i in range(2 + int(unit("length " + key) * 5))]
    again = sorted(listed, key=lambda word: unit(key + word)) if unit("order " + key) < 0.3 else listed
    return " / ".join(", ".join(x) for x in [listed, again, listed][:2 + (unit("third " + key) < 0.3)])


def main():
    folder = pathlib.Path(sys.argv[1])
    stories = [row["text"] for row in read_jsonl_gz(folder / "stories_train.jsonl.gz")]
    vocabulary = Vocabulary(stories)
    words = sorted(w for w, share in vocabulary.document_share.items()
                   if share * len(stories) >= FEWEST_STORIES and len(w) >= 3 and w not in vocabulary.evaluation)
    texts = []
    for number, story in enumerate(stories):
        texts += [echo(story, f"echo {number}"), "\n".join(word_list(words, f"list {number} {i}") for i in range(2))]
    rows = [{"text": text} for text in texts if text]
    write_jsonl_gz(folder / "copies_train.jsonl.gz", rows)
    print(f"{len(rows)} rows, {sum(len(row['text']) for row in rows)} characters, lists of {len(words)} words")


if __name__ == "__main__":
    main()
