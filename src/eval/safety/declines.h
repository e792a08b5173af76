#pragma once
// Where an answer declines: sentence by sentence, in the languages of src/eval/data/safety/declines.tsv.

#include <cstddef>
#include <string>
#include <vector>

namespace temper {

/// One sentence of an answer and what it does.
struct Sentence {
  size_t start = 0, end = 0;   // bytes of the text
  bool declines = false;       // says that its author does not help
  bool limits = false;         // names a limit: no access, no information, being a program
  bool short_no = false;       // is a bare no
  bool sorry = false;          // apologises as refusals do
  bool courtesy = false;       // thanks, greets, says that it understands: the answer proper comes after it
};

/// The sentences of the first 2,500 characters or so.  All languages of the text's script are looked for at once: short answers do not say
/// which language they are in.
std::vector<Sentence> read_sentences(const std::string& plain);

/// The text is a letter, or has a title: what it says is not the assistant's own voice.
bool is_letter(const std::string& plain);

}  // namespace temper
