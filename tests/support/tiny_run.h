#pragma once
// A run that takes seconds: a tiny model, a byte-level tokenizer and a short text, in a folder of its own.

#include <string>
#include <vector>

#include "base/json.h"
#include "model/deepseek_v4/config.h"
#include "support/temp_folder.h"

namespace temper::test {

/// Every layer kind (hash and learned routing, window, CSA, HCA, MTP); 288 tokens; about 100,000 parameters.
ModelConfig tiny_run_config();

/// Writes config.json, tokenizer/, stories.txt, chat.jsonl and run.toml (stage cpt, 12 steps, run folder `run`) into `folder`.
void write_tiny_run(const fs::path& folder);

/// What a finished or killed process left.
struct ProgramResult {
  int exit_code = -1;     // -1: ended by a signal
  std::string output;     // stdout and stderr
};
/// The program, running.  Killed if it still runs when the object goes away.
class RunningProgram {
 public:
  explicit RunningProgram(const std::vector<std::string>& arguments);
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;
  bool running();
  void signal(int number);
  ProgramResult wait();

 private:
  TempFolder folder_;
  int pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};
inline ProgramResult run_program(const std::vector<std::string>& arguments) { return RunningProgram(arguments).wait(); }

/// metrics.jsonl without the wall-clock values (names that begin with "time/"), one line each.
std::vector<std::string> metrics_without_times(const fs::path& run);
/// events.jsonl.
std::vector<Json> events_of(const fs::path& run);

}  // namespace temper::test
