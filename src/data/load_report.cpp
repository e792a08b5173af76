// What became of the rows, for people and for events.jsonl (load_samples.h).

#include <fmt/format.h>

#include <utility>

#include "data/load_samples.h"

namespace temper {

std::vector<std::string> LoadReport::Source::note_texts() const {
  std::vector<std::string> list;
  if (n_cut_to_nothing > 0) list.push_back(fmt::format("{} rows left out because cutting them at sequence_length leaves nothing to train", n_cut_to_nothing));
  if (also_trained) list.emplace_back("this file is held out, but it is trained on too: its held-out loss says nothing about new text");
  for (size_t i = 0; i < notes.size(); ++i)
    if (notes[i].n_rows > 0) list.push_back(fmt::format("{} (the first: {})", row_note_text(static_cast<RowNote>(i), notes[i].n_rows), notes[i].first));
  return list;
}

std::vector<std::string> LoadReport::Source::warnings() const {
  std::vector<std::string> list = note_texts();
  if (n_bad + n_over_length + n_truncated > 0)
    list.insert(list.begin(), fmt::format("{} bad rows skipped, {} over-length rows left out, {} cut; the first: {}", n_bad, n_over_length, n_truncated, examples.front()));
  for (std::string& warning : list) warning = fmt::format("{}: {}", path, warning);
  return list;
}

std::vector<std::string> LoadReport::warnings() const {
  std::vector<std::string> all;
  for (const Source& source : sources)
    for (std::string& warning : source.warnings()) all.push_back(std::move(warning));
  if (!position_warning.empty()) all.push_back(position_warning);
  return all;
}

int64_t LoadReport::n_skipped() const {
  int64_t n = 0;
  for (const Source& source : sources) n += source.n_left_out();
  return n;
}

Json LoadReport::to_json() const {
  Json list = Json::array();
  for (const Source& s : sources) {
    Json notes = Json::object();
    for (size_t i = 0; i < s.notes.size(); ++i)
      if (s.notes[i].n_rows > 0) notes[row_note_name(static_cast<RowNote>(i))] = s.notes[i].n_rows;
    list.push_back({{"path", s.path}, {"format", s.format}, {"rows", s.n_rows}, {"train_samples", s.n_train_samples},
                    {"held_out_samples", s.n_held_out_samples}, {"documents_split", s.n_split_documents},
                    {"bad_rows_skipped", s.n_bad}, {"over_length_skipped", s.n_over_length}, {"over_length_cut", s.n_truncated},
                    {"cut_to_nothing_skipped", s.n_cut_to_nothing}, {"rows_with", std::move(notes)}, {"examples", s.examples}});
  }
  return {{"event", "data"}, {"sources", list}};
}

std::string LoadReport::to_text() const {
  std::string text;
  for (const Source& s : sources) {
    text += fmt::format("  {}: {} rows ({}), {} samples to train on, {} held out, {} skipped\n", s.path, s.n_rows, s.format, s.n_train_samples, s.n_held_out_samples,
                        s.n_left_out());
    if (s.n_bad + s.n_over_length + s.n_truncated + s.n_split_documents > 0)
      text += fmt::format("    {} bad rows, {} left out as too long, {} cut, {} documents split\n", s.n_bad, s.n_over_length, s.n_truncated, s.n_split_documents);
    for (const std::string& example : s.examples) text += fmt::format("    {}\n", example);
    for (const std::string& note : s.note_texts()) text += fmt::format("    warning: {}\n", note);
  }
  return text;
}

}  // namespace temper
