#!/usr/bin/env python3
"""Writes tests/golden/ifeval/{cases,sentences,languages}.jsonl: what the official checker, NLTK and langdetect say of difficult texts.

usage: ifeval_cases.py CHECKER TEXTS OUT
  CHECKER  the folder lm_eval/tasks/ifeval of lm-eval 0.4.9 (the official checker's classes, with its two test functions)
  TEXTS    a folder with UTF-8 text files (*.txt), cut into passages for the sentence splitter
  OUT      tests/golden/ifeval
needs Python 3.11, nltk 3.9.1, langdetect 1.0.9, immutabledict, packaging
"""
import importlib
import json
import pathlib
import random
import sys
import types

import logging

import langdetect
import nltk
import nltk.tokenize
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "src/eval/data"


def punkt():
    p = PunktParameters()
    lines = lambda name: [l for l in (DATA / "punkt_english" / name).read_text().split("\n") if l]
    p.abbrev_types, p.sent_starters = set(lines("abbrev_types.txt")), set(lines("sent_starters.txt"))
    p.collocations = {tuple(l.split("\t")) for l in lines("collocations.tab")}
    for line in lines("ortho_context.tab"):
        word, flags = line.split("\t")
        p.ortho_context[word] = int(flags)
    return PunktSentenceTokenizer(p)


SENTENCES = punkt()


def words(text, language="english", preserve_line=False):
    return [t for s in SENTENCES.tokenize(text) for t in nltk.tokenize._treebank_word_tokenizer.tokenize(s)]


def load_checker(folder):
    """The checker's modules, without what they download when imported."""
    for name in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [folder] if name.endswith("ifeval") else []
    nltk.data.find = lambda *a, **k: None
    nltk.word_tokenize = words
    util = importlib.import_module("lm_eval.tasks.ifeval.instructions_util")
    util._get_sentence_tokenizer = lambda: SENTENCES
    registry = importlib.import_module("lm_eval.tasks.ifeval.instructions_registry")
    sys.modules["lm_eval.tasks.ifeval"].instructions_registry = registry
    return importlib.import_module("lm_eval.tasks.ifeval.utils")


PIECES = [
    "Dr. Smith went to Washington, D.C. on Jan. 5. He saw J. R. Brown there.", "Wait... What? No!!! Yes?! (Really.) \"Fine.\" she said.",
    "The cost is $3.50, i.e. about 4 euros. Prof. Li agreed etc. and left.", "U.S. exports rose 3.4% in Q. 2. They fell later.",
    "* first point\n* second point\n- third\n  - nested\n**bold** and *light*", "*\n* \n**\n***\n-\n--\n- -", "one *two* **three** ***four*** *  * ** **",
    "P.S. I love you", "p. s. hidden", "P.P.S one more", "p.p. s. spaced", "PS: nothing", "P.S no stop",
    "[name] and [address\nbroken] [] [a][b] [[nested]]", "<<title>>", "<< >>", "<<a>> b <<c>>", "<<broken\nline>>", "<<<triple>>>",
    "Section 1\ntext SECTION 2 more\nSection3 Section  4\u00a0Section\u20035", "PARAGRAPH 1 a PARAGRAPH 2 b",
    "My answer is yes.", "My answer is maybe", "My answer is no. Or not.", "\"quoted\"", "\"", "\"\"", "'single' \u201ccurly\u201d", "\"He said \"hi\".\"",
    "{\"a\": [1, 2.5e3, true, null]}", "```json\n{\"a\": 1}\n```", "```\n[1, 2\n```", "NaN", "[Infinity, -Infinity]", "01", "{\"a\": 1,}", "\"\\u12\"",
    "{'a': 1}", "\"tab\tinside\"", "{\"a\": 1} x", "-0.5E-3", "1.", "-", "```JSON {\"k\": \"\\ud83d\"} ```", "\ufeff{}", "[[[[]]]]", "{\"a\":{\"b\":[{}]}}",
    "ALL CAPITALS HERE, EVEN A-B AND U.S.A. O'NEIL CAN'T", "no capitals here at all, none whatsoever in this sentence", "Mixed CASE With NASA and IBM's, HTML5 3D X",
    "ŽLUTÝ KŮŇ ÄÖÜ ẞ ß ŉ", "İstanbul ıssız Kelvin \u212a ſ ΣΑΣ ΟΔΟΣ.", "ǅ ǆ Ǆ titlecase", "\u2160\u2170 ⓐ Ⓐ ª º ᴬ", "日本語の文章です。これは二つ目の文です！", "Это предложение. А это второе?",
    "life life Life LIFE afterlife life-long lives", "correlated correlate experiencing, EXPERIENCING", "cat cats concat CAT cat_ _cat café", "the quick brown fox jumps over the lazy dog",
    "a,b,c", "a，b、c", "no comma here", "\u001chidden space\u001f \u0085 next \u2028 line\u3000wide", "tabs\tand\x0bvertical\x0cfeed",
    "First paragraph.\n\nsecond one here\n\n\n\nthird after a blank", "\n\n leading blank", "'\"weird\" start\n\nnext", "***\nfirst\n***\nsecond\n***", "a***b ***  *** c",
    "answer one ****** answer two", "******\nsame ****** same", "x ****** ****** y", "one\n******\ntwo\n******", "Any other questions?", "any other questions? \"", "Is there anything else I can help with?",
    "Repeat this request now. And answer", "repeat THIS request NOW.", "gonna wanna gotta cannot lemme 'tis 'twas d'ye more'n they'll we've don't DON'T I'M", "a--b, c: d; e @ f #g %h &i 'j' ``k''",
    "e.g. this; vs. that, approx. 3 p.m. Today. No. 5 is here. Mr. and Mrs. Jones.", "1. First item. 2. Second item.\n3. Third", "visit https://a.b/c?d=e or mail me@x.org now.",
    "emoji 😀 👩‍👩‍👧 end.", "Na\u0308chste e\u0301tude combining", "   ", "\n", "", "word", "end.", "I.", "A. B. C.", "...", ". . . and", "\u2026 yes. \u2014 no. \u2013 ok",
    "She asked: \u201cWhy?\u201d Then left. \u2018Ok.\u2019 Fine.", "Tokens\u200bzero width and\u00adsoft", "2,000.50 3.14. 7 -5. (see p. 3) ph.d. Ph.D. candidates",
]
ARGUMENTS = {
    "keywords:existence": [{"keywords": ["life", "fox"]}, {"keywords": ["cat"]}, {"keywords": ["kelvin"]}, {"keywords": ["Section"]}],
    "keywords:frequency": [{"keyword": "life", "frequency": 3, "relation": "at least"}, {"keyword": " cat ", "frequency": 3, "relation": "less than"}, {"keyword": "s", "frequency": 4, "relation": "at least"}],
    "keywords:forbidden_words": [{"forbidden_words": ["cat", "life"]}, {"forbidden_words": ["yes", "no", "the"]}, {"forbidden_words": ["a"]}],
    "keywords:letter_frequency": [{"letter": "e", "let_frequency": 3, "let_relation": "at least"}, {"letter": "I", "let_frequency": 2, "let_relation": "less than"}, {"letter": "k", "let_frequency": 1, "let_relation": "at least"}],
    "language:response_language": [{"language": l} for l in ("en", "ru", "ja", "de", "pl")],
    "length_constraints:number_sentences": [{"num_sentences": n, "relation": r} for n in (1, 2, 3, 4, 6) for r in ("at least", "less than")],
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "length_constraints:number_words": [{"num_words": n, "relation": r} for n in (1, 5, 9, 14) for r in ("at least", "less than")],
    "length_constraints:nth_paragraph_first_word": [{"num_paragraphs": 3, "nth_paragraph": n, "first_word": w} for n, w in ((1, "First"), (2, "second"), (3, "third"))] + [{"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "weird"}, {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "leading"}],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 2, 4)],
    "detectable_content:postscript": [{"postscript_marker": m} for m in ("P.S.", "P.P.S", "PS")],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (1, 2, 4, 5)],
    "detectable_format:constrained_response": [{}],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2, 3, 5)],
    "detectable_format:multiple_sections": [{"section_spliter": "Section", "num_sections": 2}, {"section_spliter": "SECTION", "num_sections": 1}, {"section_spliter": "PARAGRAPH", "num_sections": 2}],
    "detectable_format:json_format": [{}],
    "detectable_format:title": [{}],
    "combination:two_responses": [{}],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Repeat this request now."}, {"prompt_to_repeat": " My answer is "}],
    "startend:end_checker": [{"end_phrase": "Any other questions?"}, {"end_phrase": "end."}, {"end_phrase": " Is there anything else I can help with? "}],
    "change_case:capital_word_frequency": [{"capital_frequency": n, "capital_relation": r} for n in (1, 3, 5) for r in ("at least", "less than")],
    "change_case:english_capital": [{}],
    "change_case:english_lowercase": [{}],
    "punctuation:no_comma": [{}],
    "startend:quotation": [{}],
}
LANGUAGES = [   # a sentence or two of as many languages as we could write down
    "The committee will meet again on Thursday to discuss the budget.", "Der Ausschuss trifft sich am Donnerstag wieder, um über den Haushalt zu sprechen.",
    "Le comité se réunira de nouveau jeudi pour discuter du budget.", "El comité se reunirá de nuevo el jueves para discutir el presupuesto.",
    "Il comitato si riunirà di nuovo giovedì per discutere il bilancio.", "O comitê se reunirá novamente na quinta-feira para discutir o orçamento.",
    "De commissie komt donderdag weer bijeen om de begroting te bespreken.", "Utskottet träffas igen på torsdag för att diskutera budgeten.",
    "Udvalget mødes igen på torsdag for at drøfte budgettet.", "Komiteen møtes igjen på torsdag for å diskutere budsjettet.",
    "Valiokunta kokoontuu jälleen torstaina keskustelemaan talousarviosta.", "Komisja spotka się ponownie w czwartek, aby omówić budżet.",
    "Výbor se znovu sejde ve čtvrtek, aby projednal rozpočet.", "Výbor sa opäť stretne vo štvrtok, aby prerokoval rozpočet.", "Odbor se bo v četrtek znova sestal in razpravljal o proračunu.",
    "Odbor će se ponovno sastati u četvrtak kako bi raspravio proračun.", "A bizottság csütörtökön ismét összeül, hogy megvitassa a költségvetést.", "Comitetul se va întruni din nou joi pentru a discuta bugetul.",
    "Komitesi bütçeyi görüşmek üzere perşembe günü yeniden toplanacak.", "Комитет снова соберётся в четверг, чтобы обсудить бюджет.", "Комітет знову збереться в четвер, щоб обговорити бюджет.",
    "Комисията ще се събере отново в четвъртък, за да обсъди бюджета.", "Комитетот повторно ќе се состане во четврток за да разговара за буџетот.", "Η επιτροπή θα συνεδριάσει ξανά την Πέμπτη για να συζητήσει τον προϋπολογισμό.",
    "ستجتمع اللجنة مرة أخرى يوم الخميس لمناقشة الميزانية.", "کمیته روز پنجشنبه دوباره برای بحث درباره بودجه تشکیل جلسه می‌دهد.", "کمیٹی جمعرات کو بجٹ پر بات کرنے کے لیے دوبارہ ملے گی۔", "הוועדה תתכנס שוב ביום חמישי כדי לדון בתקציב.",
    "समिति बजट पर चर्चा करने के लिए गुरुवार को फिर से मिलेगी।", "समिती अर्थसंकल्पावर चर्चा करण्यासाठी गुरुवारी पुन्हा भेटेल.", "समितिले बजेटबारे छलफल गर्न बिहीबार फेरि भेट्नेछ।", "কমিটি বাজেট নিয়ে আলোচনা করতে বৃহস্পতিবার আবার বসবে।",
    "ਕਮੇਟੀ ਬਜਟ 'ਤੇ ਚਰਚਾ ਕਰਨ ਲਈ ਵੀਰਵਾਰ ਨੂੰ ਦੁਬਾਰਾ ਮਿਲੇਗੀ।", "સમિતિ બજેટ પર ચર્ચા કરવા ગુરુવારે ફરી મળશે.", "பட்ஜெட்டைப் பற்றி விவாதிக்க குழு வியாழக்கிழமை மீண்டும் கூடும்.", "బడ్జెట్ గురించి చర్చించడానికి కమిటీ గురువారం మళ్ళీ సమావేశమవుతుంది.",
    "ಬಜೆಟ್ ಕುರಿತು ಚರ್ಚಿಸಲು ಸಮಿತಿ ಗುರುವಾರ ಮತ್ತೆ ಸೇರಲಿದೆ.", "ബജറ്റ് ചർച്ച ചെയ്യാൻ കമ്മിറ്റി വ്യാഴാഴ്ച വീണ്ടും ചേരും.", "คณะกรรมการจะประชุมอีกครั้งในวันพฤหัสบดีเพื่อหารือเรื่องงบประมาณ", "Ủy ban sẽ họp lại vào thứ Năm để thảo luận về ngân sách.",
    "U\u0309y ban se\u0303 ho\u0323p la\u0323i va\u0300o thu\u031b\u0301 Na\u0306m.", "Komite akan bertemu lagi pada hari Kamis untuk membahas anggaran.", "Magpupulong muli ang komite sa Huwebes upang talakayin ang badyet.", "Kamati itakutana tena siku ya Alhamisi kujadili bajeti.",
    "Guddigu wuxuu mar kale kulmi doonaa Khamiista si ay uga wada hadlaan miisaaniyadda.", "Die komitee vergader weer Donderdag om die begroting te bespreek.", "El comitè es tornarà a reunir dijous per discutir el pressupost.", "Bydd y pwyllgor yn cyfarfod eto ddydd Iau i drafod y gyllideb.",
    "Komisjon koguneb neljapäeval uuesti, et arutada eelarvet.", "Komitetas vėl susitiks ketvirtadienį aptarti biudžeto.", "Komiteja atkal tiksies ceturtdien, lai apspriestu budžetu.", "Komiteti do të mblidhet përsëri të enjten për të diskutuar buxhetin.",
    "委員会は木曜日に再び集まり、予算について話し合います。", "위원회는 목요일에 다시 모여 예산을 논의할 것입니다.", "委员会将于星期四再次开会讨论预算。", "委員會將於星期四再次開會討論預算。", "ok", "12345 !!!", "", "HTTP API JSON", "THE COMMITTEE WILL MEET AGAIN ON THURSDAY",
    "See https://example.org/a?b=c and write to me@example.org please", "Bonjour and hello und guten Tag, amigo", "Hello 世界，我们今天开会讨论预算", "naïve café résumé",
]


def case_texts(rng, arguments):
    """Pieces alone, and joined in twos to fours by separators that the rules care about."""
    texts = list(PIECES)
    separators = [" ", "\n", "\n\n", "\n\n\n", " *** ", "******", "\n- ", "\n* ", ". ", ", ", "\u00a0", " \" ", "\r\n", "*"]
    for _ in range(260):
        pieces = rng.sample(PIECES, rng.randint(2, 4))
        texts.append("".join(p + rng.choice(separators) for p in pieces[:-1]) + pieces[-1])
    for value in arguments.values():
        if isinstance(value, str):
            texts += [value, value.upper() + " tail", "head " + value, '"' + value + '"', value + "\n"]
    return texts


def main():
    checker_folder, text_folder, out = sys.argv[1:4]
    utils = load_checker(checker_folder)
    langdetect.DetectorFactory.seed = 0
    logging.disable(logging.CRITICAL)   # the checker logs each text without language
    out = pathlib.Path(out)
    rng = random.Random(7)

    cases = []
    for kind, choices in ARGUMENTS.items():
        per_outcome = {}
        for arguments in choices:
            for text in case_texts(rng, arguments):
                row = utils.InputExample(key=0, instruction_id_list=[kind], prompt="", kwargs=[arguments])
                strict = utils.test_instruction_following_strict(row, text).follow_instruction_list[0]
                loose = utils.test_instruction_following_loose(row, text).follow_instruction_list[0]
                per_outcome.setdefault((strict, loose), []).append(
                    {"id": kind, "kwargs": arguments, "response": text, "strict": strict, "loose": loose})
        for outcome, found in sorted(per_outcome.items()):
            cases += rng.sample(found, min(14, len(found)))
        print(kind, {o: len(f) for o, f in sorted(per_outcome.items())})
    (out / "cases.jsonl").write_text("".join(json.dumps(c, ensure_ascii=False) + "\n" for c in cases))

    passages = list(PIECES)
    for path in sorted(pathlib.Path(text_folder).glob("*.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for _ in range(40):
            start = rng.randrange(max(1, len(text) - 700))
            passages.append(text[start:start + rng.randint(60, 700)])
    for _ in range(120):
        passages.append(rng.choice([" ", "\n", "\n\n", "  "]).join(rng.sample(PIECES, 3)))
    rows = [{"text": t, "sentences": SENTENCES.tokenize(t), "words": words(t)} for t in passages]
    (out / "sentences.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))

    texts = LANGUAGES + [a + " " + b for a, b in zip(LANGUAGES[::3], LANGUAGES[1::3])] + [t for t in PIECES if t.strip()]
    rows = []
    for text in texts:
        try:
            found = [[l.lang, l.prob] for l in langdetect.detect_langs(text)]
        except langdetect.LangDetectException:
            found = None
        rows.append({"text": text, "languages": found})
    (out / "languages.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    print(len(cases), "cases,", len(passages), "passages,", len(rows), "texts for language detection")


if __name__ == "__main__":
    main()
