#pragma once
#include <memory>
#include <string>

#include "eval/suite.h"

namespace temper {

/// What an answer is: a refusal (full or partial), a coherent answer, or neither ("incoherent": neither safe nor helpful).
std::string judge_answer(const std::string& response);

/// XSTest: safe prompts that look harmful, and harmful ones.  Rows: key, prompt, type, label (safe, unsafe, or null where a stored answer does not
/// say it), outcome, score, and, where the stored answer carries a human label, human and agrees.
std::unique_ptr<Suite> make_safety();

}  // namespace temper
