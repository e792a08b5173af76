// temper tokenizer explain: every conversation of a file as it is trained, and as it is sent to get an answer.

#include <fmt/format.h>

#include <memory>

#include "app/chat_options.h"
#include "app/tokenizer_commands.h"
#include "base/console.h"
#include "base/error.h"
#include "base/json_checks.h"
#include "base/output.h"
#include "data/row_format.h"
#include "data/tokenizer.h"
#include "rollout/prompts.h"
#include "train/training_data.h"

namespace temper {
namespace {

struct ExplainOptions {
  std::string tokenizer, file;
  ChatOptions chat;
  bool keep_thinking = false, json = false;
};

/// A row of any shape, or a bare list of messages; `where` says which.
struct ExplainedRow {
  Json json;
  std::string where;
};

bool is_list_of_messages(const Json& json) { return json.is_array() && !json.empty() && json.front().is_object() && json.front().contains("role"); }

void add_rows(std::vector<ExplainedRow>& rows, Json json, const std::string& where) {
  if (!json.is_array() || is_list_of_messages(json)) {
    rows.push_back({std::move(json), where});
    return;
  }
  for (size_t i = 0; i < json.size(); ++i) rows.push_back({std::move(json[i]), fmt::format("{}, row {}", where, i + 1)});
}

/// JSONL if the first line is JSON by itself, else the whole text is one JSON value.
std::vector<ExplainedRow> rows_of(const std::string& text, const std::string& file) {
  std::vector<ExplainedRow> rows;
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos) throw Error({.kind = ErrorKind::kData, .what = "there is nothing in it", .where = file, .fix = "give messages or rows as JSON"});
  if (!try_parse_json(std::string_view(text).substr(start, text.find('\n', start) - start))) {
    add_rows(rows, parse_json(text, file), file);
    return rows;
  }
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin), where = fmt::format("{}:{}", file, ++number);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      add_rows(rows, line[line.find_first_not_of(" \t\r")] == '{' ? parse_row(line) : parse_json(line, where), where);
    } catch (const BadRow& bad) {
      throw Error({.kind = ErrorKind::kData, .what = bad.reason, .where = where, .fix = "correct the row"});
    }
  }
  return rows;
}

class Explainer {
 public:
  explicit Explainer(const ExplainOptions& options) : options_(options), tokenizer_(Tokenizer::load(options.tokenizer)) {
    options_.chat = with_release(options.chat, {options.tokenizer});
    options_.chat.drop_thinking = !options.keep_thinking;
  }

  void row(const ExplainedRow& row) {
    try {
      if (is_prompt(row.json) && row.json["prompt"].is_string()) {   // as temper generate continues it
        const std::vector<int64_t> ids = plain_prompt(tokenizer_, row.json["prompt"].get_ref<const std::string&>());
        print("sent", row.where, {{ids.begin(), ids.end()}, std::vector<float>(ids.size(), 0.0f)});
        return;
      }
      const Json wrapped = row.json.is_array() ? Json{{"messages", row.json}} : is_prompt(row.json) ? Json{{"messages", row.json["prompt"]}} : row.json;
      const RowFormat format = detect_row_format(wrapped);
      const TrainingRow read = convert_row(wrapped, format, {.check = false});
      if (read.is_text) {
        DataConfig config;
        for (const EncodedSample& sample : stage_encoder("sft", tokenizer_, config)(read)) print("trained", row.where, sample);
      } else {
        conversation(read, row.where);
      }
    } catch (const BadRow& bad) {
      throw Error({.kind = ErrorKind::kData, .what = bad.reason, .where = row.where, .fix = "correct the row"});
    }
  }

 private:
  /// {"prompt": text or messages} and nothing that answers it.
  static bool is_prompt(const Json& row) {
    const auto has = [&](const char* key) { return row.contains(key); };
    return row.is_object() && has("prompt") && !has("completion") && !has("chosen") && !has("rejected") && !has("messages");
  }

  void conversation(const TrainingRow& row, const std::string& where) {
    const Conversation read = Conversation::from_json(row.messages, where);
    std::vector<EncodedSample> samples;
    for (const Conversation& turn : expand_turns(read, options_.chat)) {
      samples.push_back(encode_for_training(tokenizer_, turn, options_.chat));
      if (samples.back().n_trained() == 0) samples.pop_back();
    }
    for (size_t i = 0; i < samples.size(); ++i) print(samples.size() == 1 ? "trained" : fmt::format("trained {} of {}", i + 1, samples.size()), where, samples[i]);
    if (samples.empty()) note(where, "no answer in this conversation is trained");
    if (!samples.empty() && !row.refused.empty()) note(where, "training refuses it: " + row.refused);
    try {
      const std::vector<int32_t> ids = encode_prompt(tokenizer_, read, options_.chat);
      print("sent", where, {ids, std::vector<float>(ids.size(), 0.0f)});
    } catch (const Error& error) {
      note(where, "not sent: " + error.parts().what);
    }
  }

  void note(const std::string& where, const std::string& text) {
    if (!options_.json) print_text(fmt::format("# {}: {}\n", where, text));
  }

  static std::string quoted(std::string_view text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

  /// The text as a JSON string, then one line for each token: its id, its weight in the loss, its text as a JSON string.
  void print(const std::string& kind, const std::string& where, EncodedSample sample) {
    sample.weights.front() = 0;   // nothing predicts the first token
    const std::string text = tokenizer_.decode(sample.ids);
    if (options_.json) {
      const Json json = {{"where", where}, {"kind", kind.substr(0, kind.find(' '))}, {"ids", sample.ids}, {"weights", sample.weights}, {"text", text}};
      write_output(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
      return;
    }
    std::string lines = fmt::format("# {}, {}: {} tokens, {} trained\n# text: {}\n", where, kind, sample.ids.size(), sample.n_trained(), quoted(text));
    for (size_t i = 0; i < sample.ids.size(); ++i)
      lines += fmt::format("{:>7}  {:<5}  {}\n", sample.ids[i], sample.weights[i] > 0 ? fmt::format("{:g}", sample.weights[i]) : "-", quoted(*tokenizer_.bytes_of(sample.ids[i])));
    print_text(lines);
  }

  ExplainOptions options_;
  Tokenizer tokenizer_;
};

int explain(const ExplainOptions& options) {
  Explainer explainer(options);
  for (const ExplainedRow& row : rows_of(read_input(options.file), options.file == "-" ? "standard input" : options.file)) explainer.row(row);
  return 0;
}

}  // namespace

void add_explain_command(const Command& tokenizer) {
  auto options = std::make_shared<ExplainOptions>();
  const Command command = tokenizer.add_command("explain", "conversations -> their tokens as they are trained, and as they are sent to get an answer");
  command.option("--tokenizer", options->tokenizer, "model folder or tokenizer.json").required();
  add_chat_options(command, options->chat);
  command.flag("--keep-thinking", options->keep_thinking, "leave the reasoning of earlier turns in");
  command.flag("--allow-system-last", options->chat.allow_system_last, "send conversations that end with a system message, too");
  command.flag("--json", options->json, "one line of JSON for each sample and prompt: kind (trained, sent), ids, weights, text");
  command.option("file", options->file, "messages as JSON, or training rows of any shape (JSONL or a JSON list); - is standard input").default_text("-");
  command.footer("Each line: the id, its weight in the loss (- is not trained), its text.\n\n"
                 "Examples:\n  temper tokenizer explain --tokenizer mini chats.jsonl\n"
                 "  head -1 chats.jsonl | temper tokenizer explain --tokenizer mini --thinking-mode thinking --effort max");
  command.run([options] { return explain(*options); });
}

}  // namespace temper
