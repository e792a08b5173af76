// The warnings about rows that are used (row_format.h).

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "data/row_format.h"

namespace temper {
namespace {

struct NoteRow {
  RowNote note;
  const char *name, *verb, *text;
};
constexpr std::array<NoteRow, kNumRowNotes> kNotes{{
    {RowNote::kReasoningLeftOut, "reasoning_left_out", "have", "reasoning that is left out, because data.thinking_mode is \"chat\"; set data.thinking_mode = \"thinking\" to train it"},
    {RowNote::kEmptyReasoning, "empty_reasoning", "have", "answers without reasoning, which data.thinking_mode = \"thinking\" trains as not to reason; leave them out, or train them in a run with \"chat\""},
    {RowNote::kEmptySystem, "empty_system", "have", "an empty system message; it is read as none"},
    {RowNote::kFlagNotOnAnswer, "flag_not_on_answer", "mark", "a turn that is no answer as trained (weight, loss, train, mask); only the assistant's turns are trained"},
    {RowNote::kThinkTagInAnswer, "think_tag_in_answer", "have", "a <think> or </think> inside an answer; it is kept as text, as if quoted"},
}};

}  // namespace

const char* row_note_name(RowNote note) { return kNotes[static_cast<size_t>(note)].name; }

std::string row_note_text(RowNote note, int64_t n_rows) {
  const NoteRow& row = kNotes[static_cast<size_t>(note)];
  return n_rows == 1 ? fmt::format("1 row {} {}", row.verb == std::string_view("have") ? "has" : "marks", row.text) : fmt::format("{} rows {} {}", n_rows, row.verb, row.text);
}

}  // namespace temper
