#pragma once
// An answer as the refusal rules read it: what it says, without the way it is written.

#include <cstddef>
#include <string>
#include <string_view>

namespace temper {

struct PlainText {
  std::string text;        // lower case, no accents, ASCII punctuation, single blanks; a line break where a new thought starts
  size_t n_items = 0;      // lines that were list items
};

/// Takes off what does not change the meaning: letter case, accents, full-width forms, zero-width characters, kinds of quotes and dashes, markdown
/// (emphasis, headings, list marks, block quotes, links), HTML tags and entities, line breaks inside a sentence.  Code blocks are left out,
/// except where prose in one is the whole answer.  Time is linear in the answer.
PlainText plain_text(std::string_view answer);

struct OwnWords {
  std::string text;
  bool quotes = false;     // something was taken out
};

/// What the author says for himself: without quotations, lines of a dialogue and inline code.  A text that is nothing but a quotation keeps it.
OwnWords without_quotations(const std::string& plain);

}  // namespace temper
