#include "train/training_sample.h"

#include <fmt/format.h>

#include "base/console.h"
#include "base/error.h"
#include "base/utf8.h"

namespace temper {
namespace {

/// The samples in packed row `index` of the run.
PackedRow packed_row(const DataLoader& loader, int64_t index) {
  const int64_t n_steps = loader.n_steps();
  int64_t n_rows = 0;
  for (int64_t step = 0; n_steps < 0 || step < n_steps; ++step) {
    const std::vector<PackedRow> rows = loader.rows_at(step);
    const auto n = static_cast<int64_t>(rows.size());
    if (index < n_rows + n) return rows[index - n_rows];
    n_rows += n;
  }
  throw Error({.kind = ErrorKind::kData, .what = fmt::format("sample {} was asked for, a pass over the data takes {} (numbered from 0)", index, n_rows), .where = "--sample",
               .fix = fmt::format("give a number from 0 to {}", n_rows - 1)});
}

/// A cut through a text can divide a character; its bytes become "?", so that places in bytes stay right.
void mask_divided_characters(std::string& text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = utf8_at(text, i);
    if (c.code == kInvalidUtf8) text[i] = '?';
    i += c.length;
  }
}

}  // namespace

TrainingSample training_sample(const DataLoader& loader, const DataConfig& config, const Tokenizer& tokenizer, int64_t index) {
  const PackedRow row = packed_row(loader, index);
  const Batch batch = make_batch(loader.store(), {row});
  const int64_t* ids = batch.token_ids.const_data_ptr<int64_t>();
  const int64_t* labels = batch.labels.const_data_ptr<int64_t>();
  const float* weights = batch.label_weights.defined() ? batch.label_weights.const_data_ptr<float>() : nullptr;
  TrainingSample out;
  out.index = index;
  int64_t i = 0;
  for (size_t d = 0; d < row.size(); ++d) {
    const SampleOrigin& origin = loader.store().origin(row[d]);
    SampleDocument document{.source = config.sources.at(loader.store().source(row[d])).path, .row = origin.row, .line = origin.line, .part = origin.part,
                            .first_token = i, .n_tokens = batch.document_lengths[d], .n_trained = 0, .text = {}};
    for (const int64_t end = i + document.n_tokens; i < end; ++i) {
      const std::string_view bytes = tokenizer.bytes_of(static_cast<int32_t>(ids[i])).value();
      const bool trained = labels[i] != kIgnoredLabel;
      const auto begin = static_cast<int64_t>(document.text.size());
      document.text += bytes;
      document.n_trained += trained;
      out.tokens.push_back({.id = static_cast<int32_t>(ids[i]), .weight = !trained ? 0.0f : weights ? weights[i] : 1.0f, .document = d, .begin = begin,
                            .end = static_cast<int64_t>(document.text.size())});
    }
    mask_divided_characters(document.text);
    out.documents.push_back(std::move(document));
  }
  return out;
}

Json TrainingSample::to_json() const {
  Json token_list = Json::array(), document_list = Json::array();
  for (const SampleToken& token : tokens)
    token_list.push_back({{"id", token.id}, {"text", std::string(text_of(token))}, {"trained", token.weight > 0}, {"weight", token.weight},
                          {"row", documents[token.document].row}, {"begin", token.begin}, {"end", token.end}});
  for (const SampleDocument& d : documents)
    document_list.push_back({{"row", d.row}, {"source", d.source}, {"line", d.line}, {"part", d.part}, {"first_token", d.first_token}, {"n_tokens", d.n_tokens},
                             {"n_trained", d.n_trained}, {"text", d.text}});
  return {{"sample", index}, {"tokens", std::move(token_list)}, {"documents", std::move(document_list)}};
}

std::string TrainingSample::to_text(bool colour) const {
  int64_t n_trained = 0;
  for (const SampleDocument& d : documents) n_trained += d.n_trained;
  std::string text = fmt::format("sample {}: {} tokens, {} trained, in {} documents; trained text is {}\n", index, tokens.size(), n_trained, documents.size(),
                                 colour ? "green" : "between ⟦ and ⟧");
  for (size_t d = 0; d < documents.size(); ++d) {
    const SampleDocument& document = documents[d];
    text += fmt::format("--- document {}: {}:{} (row {}, part {}): {} tokens from {}, {} trained\n", d + 1, printable(document.source), document.line, document.row, document.part,
                        document.n_tokens, document.first_token, document.n_trained);
    float weight = 0;
    std::string run;   // of one weight: a character may be spread over several tokens
    const auto change_to = [&](float next) {
      if (next == weight) return;
      text += printable(std::exchange(run, ""), "\n\t");
      if (weight > 0) text += colour ? "\x1b[0m" : "⟧";
      if (next > 0) text += (colour ? "\x1b[32m" : "⟦") + (next == 1 ? "" : fmt::format("{:g}: ", next));
      weight = next;
    };
    for (int64_t i = document.first_token; i < document.first_token + document.n_tokens; ++i) {
      change_to(tokens[i].weight);
      run += text_of(tokens[i]);
    }
    change_to(0);
    text += printable(run, "\n\t");
    text += "\n";
  }
  return text;
}

}  // namespace temper
