#include <fmt/format.h>

#include "app/chat_options.h"
#include "app/commands.h"
#include "base/console.h"
#include "base/json_checks.h"
#include "base/log.h"
#include "base/threads.h"
#include "eval/answers.h"
#include "eval/held_out.h"
#include "eval/model_answers.h"
#include "eval/summary.h"
#include "eval/text/unicode.h"
#include "model/deepseek_v4/positions.h"
#include "train/training_data.h"

namespace temper {
namespace {

struct EvalOptions {
  std::string suites, responses, model, out, prompts = "chat", dtype = "float32", data, separator;
  int64_t max_batch = 32, max_new_tokens = 0, sequence_length = 1024;
  bool overwrite = false;
  ChatOptions chat = {};
};

void say_what_is_left_out(const SuiteResult& result) {
  if (result.n_missing) log_warn("eval", "{}: {} questions have no answer and are not in the figures", result.suite, result.n_missing);
  if (result.n_unknown) log_warn("eval", "{}: {} stored answers belong to no question of the suite and are left out", result.suite, result.n_unknown);
  if (result.n_repeated) log_warn("eval", "{}: {} stored answers stand twice and count once", result.suite, result.n_repeated);
}

// Where answers are kept while a suite is being answered.
fs::path journal_of(const EvalOptions& options, const Suite& suite) {
  return options.out.empty() ? fs::path() : fs::path(options.out) / suite.name() / "unfinished.jsonl";
}

SuiteResult ask(AnsweringModel& model, const Suite& suite, const EvalOptions& options, Json& about) {
  const std::vector<Question> questions = suite.questions();
  const AnswerSettings settings = suite.answer_settings();
  const ModelAnswers answers = model.answer(suite.name(), questions, settings, journal_of(options, suite), options.overwrite);
  log_info("eval", "{}: answered {} questions in {:.0f} s, tokens_per_second={:.0f}", suite.name(), questions.size(), answers.seconds,
           static_cast<double>(answers.n_new_tokens) / answers.seconds);
  about["prompts"] = options.prompts;
  if (options.prompts == "chat") about["chat"] = {{"thinking_mode", options.chat.thinking_mode}, {"release", options.chat.release}, {"effort", options.chat.effort}};
  about["seed"] = settings.seed;
  about["temperature"] = settings.temperature;
  about["answers_cut_at_the_limit"] = answers.n_cut;
  std::vector<const Answer*> pointers;
  for (const Answer& answer : answers.answers) pointers.push_back(&answer);
  return grade_answers(suite, questions, pointers);
}

SuiteResult measure_held_out(const AnsweringModel* model, const EvalOptions& options, Json& about) {
  if (!model || options.data.empty())
    throw Error({.kind = ErrorKind::kConfig, .what = "heldout needs a model and a text to predict", .where = "--suite heldout", .fix = "give --model DIR and --data FILE (text or JSONL)"});
  DataConfig config;
  config.sources.push_back({.path = options.data, .separator = options.separator});
  config.sequence_length = options.sequence_length;
  config.thinking_mode = options.chat.thinking_mode;
  config.chat_release = options.chat.release;
  config.effort = options.chat.effort;
  const LoadedData data = load_samples(config, "", stage_encoder("sft", model->tokenizer(), config), available_threads());
  about["data"] = data.report.to_json();
  about["sequence_length"] = options.sequence_length;
  warn_beyond_positions("the longest document", data.train->longest(), model->weights().config().max_positions);
  return held_out_rows(model->weights(), model->tokenizer(), *data.train);
}

int eval_command(EvalOptions options) {
  if (options.responses.empty() == options.model.empty())
    throw Error({.kind = ErrorKind::kConfig,
                 .what = options.model.empty() ? "there is nothing to evaluate" : "--model and --responses exclude each other",
                 .where = "temper eval",
                 .fix = "give --model DIR to ask a model, or --responses FILE to grade stored answers"});
  std::vector<std::unique_ptr<Suite>> suites;
  for (const std::string_view name : text::split(options.suites, ",")) suites.push_back(make_suite(std::string(text::strip(name))));
  if (!options.out.empty()) check_evaluation_folder(options.out, suites);   // before hours of work
  for (const std::string& path : {options.responses, options.model, options.data}) require_utf8(path);   // about.json names them

  StoredAnswers stored;
  std::unique_ptr<AnsweringModel> model;
  if (options.model.empty()) {
    stored = read_stored_answers(options.responses);
  } else {
    if (options.prompts == "chat") options.chat = with_release(options.chat, {options.model});
    model = std::make_unique<AnsweringModel>(ModelAnswerOptions{.model = options.model, .dtype = parse_dtype(options.dtype), .plain = options.prompts == "plain",
                                                                .chat = options.chat, .max_batch = options.max_batch, .max_new_tokens = options.max_new_tokens});
  }
  std::vector<std::pair<std::string, std::vector<MetricValue>>> table;
  for (const auto& suite : suites) {
    WhileDoing work("evaluating " + suite->name());
    Json about = {{"answers", options.model.empty() ? options.responses : options.model}};
    if (model) about["dtype"] = options.dtype;
    const SuiteResult result = suite->name() == "heldout" ? measure_held_out(model.get(), options, about)
                               : model                    ? ask(*model, *suite, options, about)
                                                          : grade_stored(*suite, stored, options.responses);
    say_what_is_left_out(result);
    table.emplace_back(suite->name(), summarise(*suite, result.rows));
    if (options.out.empty()) continue;
    try {
      write_evaluation(options.out, *suite, result, about);
    } catch (const Error&) {
      print_text(metric_table(table));   // hours of answering are not lost without a trace
      throw;
    }
  }
  if (model)   // all of it is written: a stopped command goes on at the suite it was in
    for (const auto& suite : suites)
      if (const fs::path journal = journal_of(options, *suite); fs::exists(journal)) remove_path(journal);
  print_text(metric_table(table));
  for (const auto& suite : suites)
    if (const std::string line = agreement_line(*suite); !line.empty()) print_text(line + "\n");
  return 0;
}

}  // namespace

void add_eval_command(const Command& program) {
  auto options = std::make_shared<EvalOptions>();
  const Command command = program.add_command("eval", "Ask a model, or grade stored answers: rates with 95 % intervals");
  std::string names;
  for (const std::string& name : suite_names()) names += (names.empty() ? "" : ", ") + name;
  command.option("--suite", options->suites, "suites, separated by commas: " + names).required();
  command.option("--model", options->model, "model folder (with its tokenizer) that answers");
  command.option("--responses", options->responses, "JSONL or CSV with prompt and response: grade these instead of asking a model");
  command.flag("--overwrite", options->overwrite, "forget the answers that a stopped run left in --out instead of going on behind them");
  command.option("--out", options->out, "folder for summary.json and <suite>/rows.jsonl; other suites in it are kept");
  command.option("--prompts", options->prompts, "chat: in the chat format; plain: as text to be continued, for base models").one_of({"chat", "plain"}).show_default();
  add_chat_options(command, options->chat);
  command.option("--dtype", options->dtype, "what is computed in").one_of({"float32", "bfloat16"}).show_default();
  command.option("--max-batch", options->max_batch, "answers written at a time").positive().show_default();
  command.option("--max-new-tokens", options->max_new_tokens, "longest answer; 0: the suite's own").between(0, static_cast<int>(kMostNewTokens)).show_default();
  command.option("--data", options->data, "heldout: text or JSONL file to predict");
  command.option("--separator", options->separator, "heldout: the line that parts documents of a text file; empty: a blank line");
  command.option("--sequence-length", options->sequence_length, "heldout: longer documents are cut into pieces of so many tokens").positive().show_default();
  command.footer("Examples:\n  temper eval --model runs/sft/export --suite ifeval,safety --out eval/sft\n"
                  "  temper eval --suite ifeval --responses answers.jsonl --out eval/stored\n"
                  "  temper eval --model runs/sft/export --suite heldout --data stories.jsonl");
  command.run([options] { return eval_command(*options); });
}

}  // namespace temper
