#pragma once
// A model answers the questions of a suite.

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/load_model.h"
#include "data/chat_encoding.h"
#include "eval/suite.h"
#include "rollout/engine.h"

namespace temper {

struct ModelAnswerOptions {
  fs::path model;                          // model folder, with its tokenizer
  at::ScalarType dtype = at::kFloat;       // what is computed in
  bool plain = false;                      // the plain-text form of the questions, for models that only continue text
  ChatOptions chat = {};
  int64_t max_batch = 32;
  int64_t max_new_tokens = 0;              // 0: as the suite says
};

struct ModelAnswers {
  std::vector<Answer> answers;             // in the order of the questions; without the reasoning block
  int64_t n_cut = 0;                       // answers that ended at the token limit
  int64_t n_new_tokens = 0;
  int64_t n_kept = 0;                      // answers of a stopped run
  double seconds = 0;
};

/// A loaded model.  Methods from one thread.
class AnsweringModel {
 public:
  /// Errors  as load_model and Tokenizer::load.
  explicit AnsweringModel(const ModelAnswerOptions& options);

  /// Greedy unless the settings say otherwise.  Logs progress about every ten seconds; throws Interrupted on Ctrl-C.
  /// In plain form the answer begins with the question's plain_prefix, which the prompt has already said.
  /// With a `journal` path finished answers are on disk at once, and a stopped run goes on there (rollout/answer_journal.h); the
  /// caller removes the file.
  ModelAnswers answer(const std::string& suite, const std::vector<Question>& questions, const AnswerSettings& settings,
                      const fs::path& journal = {}, bool start_anew = false);

  const ModelWeights& weights() const { return loaded_.weights; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  Request request(const Question& question, const AnswerSettings& settings, uint64_t index) const;

  ModelAnswerOptions options_;
  LoadedModel loaded_;
  Tokenizer tokenizer_;
  Engine engine_;
};

}  // namespace temper
