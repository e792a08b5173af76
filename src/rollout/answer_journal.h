#pragma once
// Finished answers on disk while a long list is being answered: what a stopped run has written is kept, and the next run with the
// same requests and the same model goes on behind it.

#include <map>

#include "base/json.h"
#include "rollout/engine.h"

namespace temper {

/// What is kept of a Response.
struct FinishedAnswer {
  std::string text;
  FinishReason finish_reason = FinishReason::kLength;
  int64_t n_tokens = 0;
};

/// A JSONL file: the first line says what the answers depend on, then one line for each answer as it finishes.
class AnswerJournal {
 public:
  struct Options {
    bool start_anew = false;   // forget the answers that are there
  };
  /// `depends_on`: an object of texts, such as answers_depend_on().  Makes the file, or reads the answers it holds.
  /// Errors  kConfig where the file belongs to other requests or another model, with what differs, or is something else;
  ///         kResource where it cannot be written, or another process is writing it
  AnswerJournal(const fs::path& path, const Json& depends_on, Options options);
  ~AnswerJournal();
  AnswerJournal(const AnswerJournal&) = delete;
  AnswerJournal& operator=(const AnswerJournal&) = delete;

  const std::map<size_t, FinishedAnswer>& answers() const { return answers_; }
  const fs::path& path() const { return path_; }
  /// Answer `number` of the list is on disk when this returns: a kill of the process does not lose it.
  void add(size_t number, const FinishedAnswer& answer);
  /// Every answer is written elsewhere: the file goes.
  void remove();

 private:
  void read(const Json& depends_on);
  void begin(const Json& depends_on);

  fs::path path_;
  bool start_anew_, empty_ = false;
  int fd_ = -1;
  std::map<size_t, FinishedAnswer> answers_;
};

/// What answers depend on: {"model": digest of the weights, "tokenizer": ..., "prompts": digest of ids, sampling, limits and stops, ...}.
Json answers_depend_on(const ModelWeights& weights, const Tokenizer& tokenizer, const std::vector<Request>& requests, const EngineConfig& config);

using AnswerCallback = std::function<void(size_t number, const FinishedAnswer& answer)>;

/// Answers all requests; those that `journal` (may be null) holds are not asked again, the others are added to it as they finish.
/// `finished` is called for each answer, those of the journal first; then in the order of finishing, by one thread at a time.
/// Progress counts the answers of the journal as finished.
std::vector<FinishedAnswer> answer_requests(Engine& engine, const std::vector<Request>& requests, AnswerJournal* journal,
                                            const ProgressCallback& progress = {}, const AnswerCallback& finished = {});

}  // namespace temper
