#include "eval/model_answers.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "eval/answers.h"
#include "rollout/answer_journal.h"
#include "rollout/prompts.h"

namespace temper {
namespace {

constexpr double kSecondsBetweenLines = 10;

}  // namespace

AnsweringModel::AnsweringModel(const ModelAnswerOptions& options)
    : options_(options),
      loaded_(load_model(options.model, {.compute_dtype = options.dtype, .mtp = false})),
      tokenizer_(load_matching_tokenizer(options.model, loaded_.weights.config().vocab_size)),
      engine_(loaded_.weights, tokenizer_, {.max_batch = options.max_batch}) {}

Request AnsweringModel::request(const Question& question, const AnswerSettings& settings, uint64_t index) const {
  Request request;
  if (options_.plain) {
    request.prompt_ids = plain_prompt(tokenizer_, question.plain_prompt.empty() ? question.prompt : question.plain_prompt);
  } else {
    Conversation conversation;
    ChatMessage user;
    user.blocks.push_back({.is_tool_result = false, .text = question.prompt, .tool_call_id = ""});
    conversation.messages.push_back(user);
    request.prompt_ids = chat_prompt(tokenizer_, conversation, options_.chat);
  }
  request.sampling = {.temperature = settings.temperature, .seed = settings.seed};
  request.max_new_tokens = options_.max_new_tokens > 0 ? options_.max_new_tokens : settings.max_new_tokens;
  request.stop_ids = end_ids(tokenizer_, !options_.plain);
  request.index = index;
  return request;
}

ModelAnswers AnsweringModel::answer(const std::string& suite, const std::vector<Question>& questions, const AnswerSettings& settings,
                                    const fs::path& journal_path, bool start_anew) {
  std::vector<Request> requests;
  for (size_t i = 0; i < questions.size(); ++i) requests.push_back(request(questions[i], settings, i));
  ModelAnswers out;
  std::unique_ptr<AnswerJournal> journal;
  if (!journal_path.empty()) {
    make_writable_folder(journal_path.parent_path());
    const EngineConfig config{.max_batch = options_.max_batch};
    journal = std::make_unique<AnswerJournal>(journal_path, answers_depend_on(loaded_.weights, tokenizer_, requests, config), AnswerJournal::Options{start_anew});
    out.n_kept = static_cast<int64_t>(journal->answers().size());
    if (out.n_kept > 0) log_info("eval", "{}: goes on behind {} answers of a stopped run, {}", suite, out.n_kept, journal_path.string());
  }
  const auto start = Clock::now();
  double last_line = 0;
  const std::vector<FinishedAnswer> responses = answer_requests(engine_, requests, journal.get(), [&](int64_t n_finished, int64_t n_new_tokens) {
    const double now = seconds_since(start);
    out.n_new_tokens = n_new_tokens;
    if (now - last_line < kSecondsBetweenLines) return;
    last_line = now;
    log_info("eval", "{}: {} of {} questions answered, tokens_per_second={:.0f}", suite, n_finished, questions.size(), static_cast<double>(n_new_tokens) / now);
  });
  out.seconds = seconds_since(start);
  for (size_t i = 0; i < responses.size(); ++i) {
    out.n_cut += responses[i].finish_reason == FinishReason::kLength;
    const bool prefixed = options_.plain && !questions[i].plain_prompt.empty();
    out.answers.push_back({without_reasoning((prefixed ? questions[i].plain_prefix : "") + responses[i].text), nullptr});
  }
  return out;
}

}  // namespace temper
