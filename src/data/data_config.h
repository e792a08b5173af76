#pragma once
// The [data] section of a recipe.

#include <string>
#include <vector>

#include "base/config.h"

namespace temper {

/// Files of rows or documents that share a format and a weight.
struct DataSourceConfig {
  std::string path;
  std::string format = "auto";
  std::string separator = "";
  double weight = 1.0;

  template <class Visitor> void visit(Visitor& v) {
    v("path", path, "file, folder or pattern (data/*.jsonl, data/**/part-*): JSONL, a JSON list or plain text (.txt), also as .gz or .zst; relative to the recipe's folder");
    v("format", format, "shape of the rows; auto detects it and says what it found",
      one_of({"auto", "text", "messages", "prompt_completion", "alpaca", "sharegpt", "document"}));
    v("separator", separator, "plain text: the line that parts documents; empty = a blank line parts them");
    v("weight", weight, "passes over this source in one epoch; 0.5 = another half of it each epoch", between(0.0, 1000.0));
  }
};

struct DataConfig {
  std::vector<DataSourceConfig> sources, held_out_sources;
  double held_out_fraction = 0.0;
  int64_t held_out_max_rows = 2000;
  int64_t sequence_length = 1024;
  int64_t micro_batch = 4;
  int64_t accumulation_steps = 1;
  int64_t epochs = 1;
  bool shuffle = true;
  std::string packing = "best_fit";
  int64_t packing_window = 4096;
  std::string on_bad_row = "stop";
  std::string on_over_length = "error";
  bool split_documents = true;
  bool mask_history = false;
  std::string thinking_mode = "chat";
  std::string chat_release = "auto";
  std::string effort = "";
  int64_t max_line_bytes = int64_t{64} << 20;
  int64_t seed = 0;

  int64_t rows_per_step() const { return micro_batch * accumulation_steps; }

  template <class Visitor> void visit(Visitor& v) {
    v("sequence_length", sequence_length, "tokens a packed row may hold, so the longest sample", between(2, 1 << 24));
    v("micro_batch", micro_batch, "packed rows in one forward and backward", between(1, 1 << 20));
    v("accumulation_steps", accumulation_steps, "micro-batches in one optimizer step", between(1, 1 << 20));
    v("epochs", epochs, "passes over the data; 0 = without end (the number of steps decides)", between(0, 1 << 20));
    v("shuffle", shuffle, "another order in every epoch, by seed and epoch only");
    v("packing", packing, "best_fit fills rows with whole samples; none gives each sample a row", one_of({"best_fit", "none"}));
    v("packing_window", packing_window, "samples looked at together for packing", between(1, 1 << 24));
    v("held_out_fraction", held_out_fraction, "share of the rows kept for held-out loss, chosen by a hash of their content", between(0.0, 0.9));
    v("held_out_max_rows", held_out_max_rows, "held-out rows used in one evaluation, 0 = all", between(0, 1 << 30));
    v("on_bad_row", on_bad_row, "stop at a bad row, or skip, count and record it", one_of({"stop", "skip"}));
    v("on_over_length", on_over_length, "conversations longer than sequence_length", one_of({"error", "skip", "truncate"}));
    v("split_documents", split_documents, "text longer than sequence_length becomes several samples; false = on_over_length decides");
    v("mask_history", mask_history, "only the last answer of a conversation is trained");
    v("thinking_mode", thinking_mode, "chat encoding of conversations; thinking expects reasoning_content", one_of({"chat", "thinking"}));
    v("chat_release", chat_release, "whose effort texts: preview (first release, -DSpark), 0731 (also 0813); auto = what the model's folder says", one_of({"auto", "preview", "0731"}));
    v("effort", effort, "reasoning effort the answers show, in thinking mode; preview: none (default), high, max; 0731: low (default), high, max", one_of({"", "none", "low", "high", "max"}));
    v("max_line_bytes", max_line_bytes, "longer lines or documents are bad rows", between(16, static_cast<double>(int64_t{1} << 31)));
    v("seed", seed, "of the order of the data", between(0, 9e15));
    v("sources", sources, "what is trained on");
    v("held_out_sources", held_out_sources, "held-out files, beside the share taken from the sources");
  }
};

}  // namespace temper
