#pragma once
// Stored answers: files of {prompt, response} that are graded instead of asking a model.

#include <string>
#include <vector>

#include "eval/suite.h"

namespace temper {

struct StoredAnswers {
  std::vector<std::string> prompts;
  std::vector<Answer> answers;   // answers[i] belongs to prompts[i]
  size_t n_repeated = 0;         // rows left out because prompt and response stood there already
};

/// Reads JSONL rows with "prompt" and "response" (or "completion"), or a CSV file with these columns.
/// Errors  Error{kData} with file:line for a row that is not JSON, lacks a field or holds no string, for one prompt with two different
///         responses, and for a file without rows.
StoredAnswers read_stored_answers(const fs::path& path);

/// Puts stored answers to a suite's questions, by prompt, and grades them.
/// Questions without an answer and answers without a question are counted in the result; Error{kData} if nothing matches.
SuiteResult grade_stored(const Suite& suite, const StoredAnswers& stored, const std::string& where);

/// The text behind the reasoning block: after the last "</think>", trimmed at its head; the whole text if there is none.
std::string without_reasoning(const std::string& response);

}  // namespace temper
