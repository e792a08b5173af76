#include <fmt/format.h>

#include <optional>

#include "app/generation.h"
#include "app/row_settings.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/output.h"
#include "data/text_reader.h"
#include "rollout/answer_journal.h"

namespace temper {
namespace {

struct GenerateOptions {
  GenerationOptions generation{.temperature = 0};
  std::string prompts, out;
  bool overwrite = false;
};

constexpr int64_t kMaxLineBytes = 16 << 20;

struct PromptRow {
  Json json;
  std::string where;
};

std::vector<PromptRow> read_prompts(const fs::path& path) {
  std::vector<PromptRow> rows;
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
class AnswerProgress {
 public:
  explicit AnswerProgress(size_t n_requests) : n_requests_(n_requests) {}
  void operator()(int64_t n_finished, int64_t n_new_tokens) {
    n_new_tokens_ = n_new_tokens;
    const double now = seconds();
    if (now - last_ < kEverySeconds) return;
    last_ = now;
    log_info("generate", "{} of {} answers, {} tokens, {:.0f} tokens/s", n_finished, n_requests_, n_new_tokens, static_cast<double>(n_new_tokens) / now);
  }
  int64_t n_new_tokens() const { return n_new_tokens_; }
  double seconds() const { return seconds_since(start_); }

 private:
  static constexpr double kEverySeconds = 5;
  size_t n_requests_;
  int64_t n_new_tokens_ = 0;
  double last_ = 0;
  Clock::time_point start_ = Clock::now();
};

// The rows with their answers, in the order of the input.  Into a pipe each goes as soon as those before it are there.
class RowWriter {
 public:
  RowWriter(FileWriter& out, bool streams, const std::vector<PromptRow>& rows, const std::vector<Request>& requests) : out_(out), streams_(streams), rows_(rows), requests_(requests), answers_(rows.size()) {}

  void take(size_t number, const FinishedAnswer& answer) {
    answers_[number] = answer;
    if (!streams_) return;
    for (; next_ < rows_.size() && answers_[next_]; ++next_) write(next_);
  }
  void finish() {
    for (; next_ < rows_.size(); ++next_) write(next_);
    out_.finish();
  }

 private:
  void write(size_t i) {
    Json json = rows_[i].json;
    json["response"] = answers_[i]->text;
    json["finish_reason"] = finish_reason_name(answers_[i]->finish_reason);
    json["n_prompt_tokens"] = requests_[i].prompt_ids.size();
    json["n_tokens"] = answers_[i]->n_tokens;
    out_.write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  FileWriter& out_;
  bool streams_;
  const std::vector<PromptRow>& rows_;
  const std::vector<Request>& requests_;
  std::vector<std::optional<FinishedAnswer>> answers_;
  size_t next_ = 0;
};

std::vector<Request> requests_of(const Generator& generator, const std::vector<PromptRow>& rows) {
  std::vector<Request> requests;
  for (const PromptRow& row : rows) {
    const WhileDoing work("reading " + row.where);
    if (row.json.contains("messages"))
      requests.push_back(generator.answer(Conversation::from_json(row.json, row.where), requests.size()));
    else
      requests.push_back(generator.continue_text(row.json["prompt"].get_ref<const std::string&>(), requests.size()));
    take_row_settings(row.json, row.where, requests.back());
  }
  return requests;
}

int generate_command(const GenerateOptions& options) {
  FileWriter out(options.out);   // before the work: a place that cannot be written is known at once
  const bool streams = is_stream(options.out);
  const std::vector<PromptRow> rows = read_prompts(options.prompts);
  Generator generator(options.generation);
  const std::vector<Request> requests = requests_of(generator, rows);
  std::unique_ptr<AnswerJournal> journal;
  if (!streams)
    journal = std::make_unique<AnswerJournal>(options.out + ".unfinished.jsonl", generator.answers_depend_on(requests), AnswerJournal::Options{options.overwrite});
  const size_t n_kept = journal ? journal->answers().size() : 0;
  if (n_kept > 0) log_info("generate", "goes on behind {} of {} answers that a stopped run left in {}", n_kept, rows.size(), journal->path().string());

  AnswerProgress progress(rows.size());
  RowWriter writer(out, streams, rows, requests);
  int64_t n_tokens = 0;
  try {
    answer_requests(generator.engine(), requests, journal.get(), std::ref(progress), [&](size_t number, const FinishedAnswer& answer) {
      writer.take(number, answer);
      n_tokens += answer.n_tokens;
    });
  } catch (const Interrupted&) {
    if (journal) log_info("generate", "stopped; finished answers are in {}: the same command goes on behind them", journal->path().string());
    throw;
  }
  writer.finish();
  if (journal) journal->remove();
  log_info("generate", "{} answers in {}, {} tokens, {:.0f} tokens/s", rows.size(), options.out, n_tokens, static_cast<double>(progress.n_new_tokens()) / progress.seconds());
  return 0;
}

}  // namespace

void add_generate_command(const Command& program) {
  auto options = std::make_shared<GenerateOptions>();
  const Command command = program.add_command("generate", "Write answers to a file of prompts");
  add_generation_options(command, options->generation);
  command.option("--prompts", options->prompts, "JSONL: {\"prompt\": text to continue} or {\"messages\": [...]} (chat), one a line").required();
  command.option("--out", options->out, "JSONL: the rows with response, finish_reason, n_prompt_tokens, n_tokens; - is standard output").required();
  command.flag("--overwrite", options->overwrite, "forget the answers of a stopped run instead of going on behind them");
  command.flag("--allow-system-last", options->generation.chat.allow_system_last, "continue conversations that end with a system message, which nobody asks to answer, instead of refusing them");
  command.option("--batch", options->generation.max_batch, "sequences at a time").positive().show_default();
  command.footer(
      "Row i draws with the random numbers of (seed, i): answers do not depend on the batch.\n"
      "A row may set max_tokens, temperature, top_p, top_k, stop and seed for itself.\n"
      "Ctrl-C keeps finished answers in OUT.unfinished.jsonl; the same command goes on behind them.\n\n"
      "Examples:\n"
      "  temper generate --model mini-v4 --prompts prompts.jsonl --out answers.jsonl\n"
      "  temper generate --model mini-v4 --prompts prompts.jsonl --out answers.jsonl --temperature 0.8 --top-p 0.95 --seed 7 --max-new-tokens 120");
  command.run([options] { return generate_command(*options); });
}

}  // namespace temper
