#include <fmt/format.h>

#include <chrono>

#include "app/generation.h"
#include "base/log.h"
#include "data/text_reader.h"

namespace temper {
namespace {

struct Options {
  GenerationOptions generation{.temperature = 0};
  std::string prompts, out;
};

constexpr int64_t kMaxLineBytes = 16 << 20;

struct Row {
  Json json;
  std::string where;
};

std::vector<Row> read_rows(const fs::path& path) {
  std::vector<Row> rows;
  LineReader reader(path, kMaxLineBytes);
  for (TextPiece line; reader.next_filled(line);) {
    const std::string where = fmt::format("{}:{}", path.string(), line.line);
    const auto refuse = [&](std::string what) {
      throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = where, .fix = R"(write {"prompt": "..."} or {"messages": [...]} on each line)"});
    };
    if (!line.defect.empty()) refuse(line.defect);
    Json json = parse_json(line.text, where);
    if (!json.is_object()) refuse("the line is not a JSON object");
    if (json.contains("prompt") == json.contains("messages")) refuse("a row needs either \"prompt\" or \"messages\"");
    if (json.contains("prompt") && !json["prompt"].is_string()) refuse("\"prompt\" is not a text");
    rows.push_back({std::move(json), where});
  }
  if (rows.empty()) throw Error({.kind = ErrorKind::kData, .what = "there are no rows", .where = path.string(), .fix = "write one prompt a line"});
  return rows;
}

// Lines on stderr while a long list is worked on.
class Progress {
 public:
  explicit Progress(size_t n_requests) : n_requests_(n_requests) {}
  void operator()(int64_t n_finished, int64_t n_new_tokens) {
    const double now = seconds();
    if (now - last_ < kEverySeconds) return;
    last_ = now;
    log_info("generate", "{} of {} answers, {} tokens, {:.0f} tokens/s", n_finished, n_requests_, n_new_tokens, static_cast<double>(n_new_tokens) / now);
  }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  static constexpr double kEverySeconds = 5;
  size_t n_requests_;
  double last_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

int generate_command(const Options& options) {
  const std::vector<Row> rows = read_rows(options.prompts);
  Generator generator(options.generation);
  std::vector<Request> requests;
  for (const Row& row : rows) {
    const WhileDoing work("reading " + row.where);
    if (row.json.contains("messages"))
      requests.push_back(generator.answer(Conversation::from_json(row.json, row.where), requests.size()));
    else
      requests.push_back(generator.continue_text(row.json["prompt"].get_ref<const std::string&>(), requests.size()));
  }
  FileWriter out(options.out);   // before the work: an unwritable place is known at once
  Progress progress(rows.size());
  const std::vector<Response> responses = generator.engine().generate(requests, {}, std::ref(progress));
  int64_t n_tokens = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Response& response = responses[i];
    Json json = rows[i].json;
    json["response"] = response.text;
    json["finish_reason"] = finish_reason_name(response.finish_reason);
    json["n_prompt_tokens"] = requests[i].prompt_ids.size();
    json["n_tokens"] = response.ids.size();
    out.write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    n_tokens += static_cast<int64_t>(response.ids.size());
  }
  out.finish();
  log_info("generate", "{} answers in {}, {} tokens, {:.0f} tokens/s", rows.size(), options.out, n_tokens, static_cast<double>(n_tokens) / progress.seconds());
  return 0;
}

}  // namespace

void add_generate_command(const Command& program) {
  auto options = std::make_shared<Options>();
  const Command command = program.add_command("generate", "Write answers to a file of prompts");
  add_generation_options(command, options->generation);
  command.option("--prompts", options->prompts, "JSONL: {\"prompt\": text to continue} or {\"messages\": [...]} (chat), one a line").required();
  command.option("--out", options->out, "JSONL: the rows with response, finish_reason, n_prompt_tokens, n_tokens").required();
  command.flag("--allow-system-last", options->generation.chat.allow_system_last, "continue conversations that end with a system message, which nobody asks to answer, instead of refusing them");
  command.option("--batch", options->generation.max_batch, "sequences at a time").positive().show_default();
  command.footer(
      "Row i draws with the random numbers of (seed, i): answers do not depend on the batch.\n\n"
      "Examples:\n"
      "  temper generate --model mini-v4 --prompts prompts.jsonl --out answers.jsonl\n"
      "  temper generate --model mini-v4 --prompts prompts.jsonl --out answers.jsonl --temperature 0.8 --top-p 0.95 --seed 7 --max-new-tokens 120");
  command.run([options] { return generate_command(*options); });
}

}  // namespace temper
