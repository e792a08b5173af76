#!/usr/bin/env python3
"""Makes the miniature's instruction data from its stories.

usage: instructions.py DATA_FOLDER SUITE_FOLDER

Reads stories_train.jsonl.gz and stories_held_out.jsonl.gz; writes
  DATA/instructions_train.jsonl.gz   messages: an instruction and a short story that satisfies it
  DATA/repeat_train.jsonl.gz         messages: a sentence to be said again, or to be made with a word: what the longer tasks consist of
  DATA/evaluation_words.txt          words that no training instruction asks for
  SUITE/instructions_eval.jsonl      189 instructions with their constraints, for the suite `stories`
  SUITE/words.txt                    words that occur in at least two stories: what the suite's check of coherence knows

A short story is the beginning of a story (whole sentences of its first paragraphs) and its end.  The nouns, names and
quoted phrases asked for in the evaluation hold a word of a set, chosen by hash, that no training instruction asks for.
The same input gives the same bytes.
"""
import collections
import hashlib
import json
import pathlib
import re
import sys

from corpus import read_jsonl_gz, write_jsonl_gz

MAX_CHARS = 300            # of a short story: about 75 tokens
EVAL_WORD_SHARE = 0.25
TRAINING_TURNS = 3         # instructions made from one story; all but the first with words exchanged
N_EVAL = {"words1": 50, "words2": 45, "words3": 15, "named": 30, "sentences": 25, "starts": 25, "ends": 20}

DETERMINERS = "a an the his her my their your some two that this big little red".split()
NOT_NOUNS = set("""little big small old new best next same other first last good bad happy sad nice red blue green yellow own lot way time day
    one two three once bit rest end very most very long great special pretty whole many few more shiny soft tiny funny loud wise
    beautiful kind brave round sweet huge dark warm cold hot tall fast white black brown pink yummy poor hard young right wrong left scary
    strange magic colorful tasty delicious different important careful chubby harsh thin unknown valuable sudden magical deep story word words tell write sentence sentences""".split())
ANIMALS = "dog cat bird rabbit bunny bear fox mouse frog duck fish squirrel lion elephant monkey owl turtle pig cow horse puppy kitten butterfly bee".split()

TEMPLATES = {
    "words": ["write a story with the {words_are}.", "write a short story that uses the {words_are}.", "tell me a story with the {words_are} in it.",
              "please write a story. it must have the {words_are}.", "make up a story with the {words_are}.", "i want a story with the {words_are}."],
    "named": ["write a story about a {kind} named {name}.", "tell me a story about a {kind} called {name}.", "please tell a story about {name} the {kind}.",
              "i want a story about a {kind} named {name}.", "can you write a story about a {kind} called {name}?"],
    "sentences": ["write a story with the word {word} in at most {n} sentences.", "in at most {n} sentences, write a story with the word {word}.",
                  "tell me a story with the word {word}. use at most {n} sentences.", "write a very short story with the word {word}: at most {n} sentences."],
    "starts": ["write a story that starts with \"{phrase}\"", "write a story that begins with the words \"{phrase}\"", "tell me a story. start it with \"{phrase}\"",
               "start a story with \"{phrase}\" and tell it to the end."],
    "ends": ["write a story that ends with \"{phrase}\"", "tell me a story that ends with the words \"{phrase}\"", "write a short story. its last words are \"{phrase}\"",
             "make up a story and end it with \"{phrase}\""],
}
# How a model that only continues text is asked in its best form: a line that announces the story, then its opening words, which
# count as part of the answer.  Of six forms tried on instructions with other words, these made the base model do most (README.md).
PLAIN = {
    "words": ("this is a story about {plain}.", "once upon a time, there was a"),
    "named": ("story: a {kind} named {name}", "once upon a time there was"),
    "sentences": ("this is a story about {word}.", "once upon a time, there was a"),
    "ends": ("the end of the story is: {phrase}", "once upon a time, there was a"),
}
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}


def unit(text):
    """A number in [0, 1) that depends on the text only."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def choose(options, key):
    return options[int(unit(key) * len(options))]


def sentences_of(text):
    """A sentence ends with . ! or ?, a closing quote perhaps, and then space or the end (the rule of the suite `stories`)."""
    return [s.strip() for s in re.findall(r".+?(?:[.!?]+[\"']?(?=\s|$)|$)", text, re.S) if s.strip()]


def words_of(text):
    return re.findall(r"[a-z]+", text)


def short_story(text):
    """The first sentences and the last one, whole paragraphs' quotes closed, at most MAX_CHARS; None if that cannot be."""
    if len(text) <= MAX_CHARS:
        return text
    paragraphs = text.split("\n\n")
    last = sentences_of(paragraphs[-1])[-1]
    if len(last) > 130 or last.count('"') % 2:
        return None
    out, room = [], MAX_CHARS - len(last) - 2
    for paragraph in paragraphs:
        kept = []
        for sentence in sentences_of(paragraph):
            if len(sentence) + 1 > room:
                break
            kept.append(sentence)
            room -= len(sentence) + 1
        while kept and " ".join(kept).count('"') % 2:
            room += len(kept.pop()) + 1
        if kept:
            out.append(" ".join(kept))
        if len(kept) < len(sentences_of(paragraph)):
            break
    if not out or last in out[-1]:
        return None
    return "\n\n".join(out) + "\n\n" + last


class Vocabulary:
    """Nouns and names of the corpus, and which of them only the evaluation asks for."""

    def __init__(self, stories):
        follows, total, documents, named = (collections.Counter() for _ in range(4))
        for text in stories:
            tokens = words_of(text)
            documents.update(set(tokens))
            total.update(tokens)
            follows.update(b for a, b in zip(tokens, tokens[1:]) if a in DETERMINERS[:10])
            named.update(re.findall(r"(?:named|called) ([a-z]+)[ .,]", text))
        self.names = {w for w, n in named.items() if n >= 4 and total[w] >= 10 and follows[w] < 0.2 * total[w] and len(w) > 2 and documents[w] < 0.2 * len(stories)
                      and w not in NOT_NOUNS and w not in DETERMINERS}
        self.nouns = {w for w, n in documents.items() if 12 <= n <= 0.09 * len(stories) and follows[w] >= 0.55 * total[w] and len(w) >= 3
                      and w not in NOT_NOUNS and w not in self.names and not re.search(r"(ed|ing|ly|est|ful|ous)$", w)}
        self.evaluation = {w for w in self.nouns | self.names if unit("asked only in the evaluation " + w) < EVAL_WORD_SHARE}
        self.document_share = {w: documents[w] / len(stories) for w in documents}


def words_are(words):
    if len(words) == 1:
        return "word " + words[0]
    return "words " + ", ".join(words[:-1]) + " and " + words[-1]


def plain_words(words):
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def instruction(kind, key, fields):
    prompt = choose(TEMPLATES[kind], "template " + key).format(**fields)
    if kind == "starts":
        return prompt, (fields["phrase"], fields["phrase"])
    announced, opening = PLAIN[kind]
    return prompt, (announced.format(**fields) + "\n\n" + opening, opening)


def exchanged(text, vocabulary, key):
    """The story with up to two of its nouns and the names in it replaced by others, each everywhere: what an instruction asks for is then no
    longer what one would guess from the rest of the story, and only reading the instruction tells it."""
    present = {}
    for w in words_of(text):
        present.setdefault(w)
    nouns = [w for w in present if w in vocabulary.nouns]
    swaps = {w: vocabulary.nouns for w in sorted(nouns, key=lambda w: unit(f"exchange {key}{w}"))[:2]}
    swaps |= {w: vocabulary.names for w in present if w in vocabulary.names}
    for old, group in swaps.items():
        alike = sorted(w for w in group - vocabulary.evaluation - set(present) if (w[0] in "aeiou") == (old[0] in "aeiou") and w.endswith("s") == old.endswith("s"))
        if alike:
            new = choose(alike, f"for {key}{old}")
            present.setdefault(new)
            text = re.sub(rf"\b{old}\b", new, text)
    return text


def candidates(text, vocabulary, allowed, key):
    """All instructions that `text` satisfies whose words are `allowed`: (kind, prompt, plain form, constraints)."""
    # Mostly words with which the story begins, else any of its nouns; asked for in the order in which they come.
    first = set(words_of(" ".join(sentences_of(text)[:2]))) if unit("first " + key) < 0.9 else set()
    tokens = words_of(text)
    nouns = sorted({w for w in tokens if w in vocabulary.nouns and allowed(w)}, key=lambda w: (w not in first, unit(key + w)))
    found = []
    for n in (1, 2, 3):
        if len(nouns) >= n:
            words = sorted(nouns[:n], key=tokens.index)
            prompt = instruction("words", key + str(n), {"words_are": words_are(words), "plain": plain_words(words)})
            found.append((f"words{n}", *prompt, [{"type": "words", "words": words}]))
    named = re.search(r"(" + "|".join(ANIMALS) + r"|boy|girl)(?:, | who was | )?(?:named|called) ([a-z]+)\b", text)
    if named and allowed(named[2]) and named[2] in vocabulary.names:
        kind, name = named[1], named[2]
        found.append(("named", *instruction("named", key, {"kind": kind, "name": name}), [{"type": "words", "words": [kind, name]}]))
    n_sentences = len(sentences_of(text))
    if nouns and n_sentences <= 7:
        n = min(7, max(3, n_sentences + (unit("room " + key) < 0.4)))
        fields = {"word": nouns[0], "n": NUMBERS[n]}
        found.append(("sentences", *instruction("sentences", key, fields), [{"type": "words", "words": [nouns[0]]}, {"type": "max_sentences", "n": n}]))
    opening = sentences_of(text)[0].split()
    n_words = 5 + int(unit("opening " + key) * 6)
    if '"' not in " ".join(opening[:n_words]) and len(opening) > n_words + 1:
        phrase = " ".join(opening[:n_words]).rstrip(",;:")
        found.append(("starts", *instruction("starts", key, {"phrase": phrase}), [{"type": "starts_with", "text": phrase}]))
    ending = sentences_of(text)[-1]
    if '"' not in ending and 3 <= len(ending.split()) <= 10:
        found.append(("ends", *instruction("ends", key, {"phrase": ending}), [{"type": "ends_with", "text": ending}]))
    return found


def asked_words(constraints):
    words = []
    for constraint in constraints:
        words += constraint.get("words", []) + words_of(constraint.get("text", ""))
    return words


def satisfies(text, constraints):
    tokens = set(words_of(text))
    for c in constraints:
        if c["type"] == "words" and not all(w in tokens for w in c["words"]):
            return False
        if c["type"] == "min_sentences" and len(sentences_of(text)) < c["n"]:
            return False
        if c["type"] == "max_sentences" and len(sentences_of(text)) > c["n"]:
            return False
        if c["type"] == "starts_with" and not text.startswith(c["text"]):
            return False
        if c["type"] == "ends_with" and not text.endswith(c["text"]):
            return False
    return True


def make_training(stories, vocabulary):
    rows = []
    for number, story in enumerate(stories):
        text = short_story(story)
        if text is None:
            continue
        for turn in range(TRAINING_TURNS):
            key = f"{number} {turn} "
            told = exchanged(text, vocabulary, key) if turn else text
            options = [c for c in candidates(told, vocabulary, lambda w: w not in vocabulary.evaluation, key)
                       if not set(asked_words(c[3])) & vocabulary.evaluation]
            if not options:
                continue
            kind, prompt, _, constraints = choose(options, "kind " + key)
            assert satisfies(told, constraints), (told, constraints)
            rows.append({"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": told}]})
    return rows


REPEAT = ["say this again: \"{phrase}\"", "repeat after me: \"{phrase}\"", "please repeat this: \"{phrase}\"", "write these words again: \"{phrase}\"",
          "say \"{phrase}\""]


def make_repeats(stories, vocabulary):
    """One sentence of each story, without words of the evaluation."""
    rows = []
    for number, story in enumerate(stories):
        options = [x for x in sentences_of(story) if '"' not in x and 5 <= len(x.split()) <= 14 and not set(words_of(x)) & vocabulary.evaluation]
        if options:
            phrase = choose(options, f"repeat {number}")
            prompt = choose(REPEAT, f"repeat template {number}").format(phrase=phrase)
            rows.append({"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": phrase}]})
    return rows


SENTENCE = ["write a sentence with the {words_are}.", "make a sentence that has the {words_are} in it.", "please write one sentence with the {words_are}.",
            "say something with the {words_are}."]


def make_sentences(stories, vocabulary):
    """Of each story a sentence with one or two nouns that an instruction asks for: the same task as a story with these words, but short."""
    rows = []
    for number, story in enumerate(stories):
        key = f"sentence {number} "
        told = exchanged(story, vocabulary, key)
        options = [x for x in sentences_of(told) if '"' not in x and 5 <= len(x.split()) <= 16 and not set(words_of(x)) & vocabulary.evaluation
                   and set(words_of(x)) & vocabulary.nouns]
        if options:
            sentence = choose(options, key)
            nouns = list(dict.fromkeys(w for w in words_of(sentence) if w in vocabulary.nouns))[:1 + (unit("two " + key) < 0.5)]
            prompt = choose(SENTENCE, "template " + key).format(words_are=words_are(nouns))
            rows.append({"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": sentence}]})
    return rows


def make_evaluation(stories, vocabulary):
    """Instructions that a held-out story satisfies, each asking for a word of the evaluation's own."""
    per_kind = collections.defaultdict(list)
    for number, story in enumerate(stories):
        text = short_story(story)
        if text is None:
            continue
        for turn in range(4):
            for kind, prompt, plain, constraints in candidates(text, vocabulary, lambda w: w in vocabulary.evaluation, f"evaluation {number} {turn} "):
                if set(asked_words(constraints)) & vocabulary.evaluation and satisfies(text, constraints):
                    per_kind[kind].append({"kind": kind, "prompt": prompt, "plain_prompt": plain[0], "plain_prefix": plain[1], "constraints": constraints})
    # Words alone need no story behind them: any nouns of the evaluation's own will do.
    nouns = sorted(vocabulary.evaluation & vocabulary.nouns, key=lambda w: unit("evaluation noun " + w))
    for kind, n in (("words2", 2), ("words3", 3)):
        for i in range(0, len(nouns) - n, n):
            words = nouns[i:i + n]
            prompt, plain = instruction("words", f"extra {kind} {i}", {"words_are": words_are(words), "plain": plain_words(words)})
            per_kind[kind].append({"kind": kind, "prompt": prompt, "plain_prompt": plain[0], "plain_prefix": plain[1], "constraints": [{"type": "words", "words": words}]})
    names = sorted(vocabulary.evaluation & vocabulary.names, key=lambda w: unit("evaluation name " + w))
    for i, name in enumerate(names * 3):
        kind = choose(ANIMALS + ["boy", "girl"], f"kind {name} {i}")
        prompt, plain = instruction("named", f"extra {name} {i}", {"kind": kind, "name": name})
        per_kind["named"].append({"kind": "named", "prompt": prompt, "plain_prompt": plain[0], "plain_prefix": plain[1], "constraints": [{"type": "words", "words": [kind, name]}]})
    rows = []
    for kind, n in N_EVAL.items():
        unique = list({str(row["constraints"]): row for row in per_kind[kind]}.values())
        unique.sort(key=lambda row: unit("evaluation order " + row["prompt"]))
        rows += unique[:n]
        print(f"  {kind}: {len(unique)} possible, {min(n, len(unique))} taken")
    for row in rows:
        row["constraints"].append({"type": "min_sentences", "n": 2})   # a sentence that names the words is no story
    return [{"key": f"{row['kind']}-{i:03d}", **row} for i, row in enumerate(rows)]


def main():
    folder, suite = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    train = [row["text"] for row in read_jsonl_gz(folder / "stories_train.jsonl.gz")]
    test = [row["text"] for row in read_jsonl_gz(folder / "stories_held_out.jsonl.gz")]
    vocabulary = Vocabulary(train)
    rows = make_training(train, vocabulary)
    repeats = make_repeats(train, vocabulary) + make_sentences(train, vocabulary)
    evaluation = make_evaluation(test, vocabulary)
    asked = set()
    for row in rows + repeats:
        asked |= set(words_of(row["messages"][0]["content"]))
    for row in evaluation:
        assert set(asked_words(row["constraints"])) & vocabulary.evaluation
    assert not asked & vocabulary.evaluation, sorted(asked & vocabulary.evaluation)
    write_jsonl_gz(folder / "instructions_train.jsonl.gz", rows)
    write_jsonl_gz(folder / "repeat_train.jsonl.gz", repeats)
    (suite / "instructions_eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evaluation))
    known = sorted(w for w, share in vocabulary.document_share.items() if share * len(train) > 1.5)
    (suite / "words.txt").write_text("\n".join(known) + "\n")
    words = [sorted(vocabulary.evaluation & group) for group in (vocabulary.nouns, vocabulary.names)]
    (folder / "evaluation_words.txt").write_text("# Words that no training instruction asks for: nouns, then names.\n" + "\n".join(" ".join(w) for w in words) + "\n")
    print(f"{len(vocabulary.nouns)} nouns, {len(vocabulary.names)} names, {len(vocabulary.evaluation)} of them for the evaluation only; "
          f"{len(rows)} training instructions, {len(repeats)} short tasks, {len(evaluation)} evaluation instructions")


if __name__ == "__main__":
    main()
