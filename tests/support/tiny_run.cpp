#include "support/tiny_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "data/bpe_trainer.h"
#include "support/all_layers_config.h"
#include "support/json_lines.h"
#include "test_places.h"

namespace temper::test {
namespace {

constexpr const char* kWords[] = {"once", "there", "was", "a", "little", "cat", "dog", "who", "liked", "to", "play", "with", "the", "red", "ball", "in", "park", "and", "they", "were", "happy"};

std::string sentence(const RandomStream& stream, uint64_t index) {
  std::string text;
  for (uint64_t w = 0; w < 4 + stream.below(index * 64, 12); ++w) text += std::string(w ? " " : "") + kWords[stream.below(index * 64 + 1 + w, std::size(kWords))];
  return text + ".";
}

}  // namespace

ModelConfig tiny_run_config() {
  ModelConfig c = all_layers_config();
  c.vocab_size = 288;
  c.hidden_size = 32;
  c.head_dim = 16;
  c.rope_head_dim = 8;
  c.q_lora_rank = 16;
  c.o_lora_rank = 16;
  c.moe_intermediate_size = 32;
  c.sliding_window = 16;
  c.index_head_dim = 32;
  c.hc_sinkhorn_iters = 5;
  c.quantized = true;
  c.expert_encoding = Encoding::kFp4Block32;
  return c;
}

void write_tiny_run(const fs::path& folder) {
  const RandomStream stream(1, "tests/tiny_run");
  std::string stories, chat;
  for (uint64_t i = 0; i < 200; ++i) stories += sentence(stream, i) + (i % 3 == 2 ? "\n\n" : "\n");
  for (uint64_t i = 0; i < 60; ++i)
    chat += Json{{"messages", Json::array({Json{{"role", "user"}, {"content", "tell " + std::to_string(i)}}, Json{{"role", "assistant"}, {"content", sentence(stream, 1000 + i)}}})}}.dump() + "\n";
  BpeTrainer trainer;
  trainer.add(stories);
  fs::create_directories(folder / "tokenizer");
  write_tokenizer(trainer.train(288), folder / "tokenizer");
  write_file_atomic(folder / "config.json", to_json(tiny_run_config()).dump(2));
  write_file_atomic(folder / "stories.txt", stories);
  write_file_atomic(folder / "chat.jsonl", chat);
  write_file_atomic(folder / "run.toml", fmt::format(R"(stage = "cpt"
run_folder = "{}"
[model]
config = "config.json"
tokenizer = "tokenizer"
[data]
sequence_length = 160
micro_batch = 1
accumulation_steps = 2
epochs = 0
held_out_fraction = 0.1
[[data.sources]]
path = "stories.txt"
[train]
steps = 12
mtp_loss_weight = 0.3
balance_loss_weight = 1e-3
indexer_loss_weight = 1.0
router_bias_speed = 1e-3
[schedule]
lr = 3e-3
warmup_steps = 2
[checkpoint]
every_steps = 3
keep_last = 2
[eval]
every_steps = 4
)", (folder / "run").string()));
}

RunningProgram::RunningProgram(const std::vector<std::string>& arguments) {
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setenv("OMP_NUM_THREADS", "1", 1);   // thousands of tiny operations: threads would only wait for each other
    const int out = ::open((folder_ / "output").c_str(), O_WRONLY | O_CREAT, 0644);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    std::vector<char*> argv{const_cast<char*>(TEMPER_BINARY)};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(TEMPER_BINARY, argv.data());
    ::_exit(127);
  }
}

RunningProgram::~RunningProgram() {
  if (!ended_) {
    signal(SIGKILL);
    wait();
  }
}

bool RunningProgram::running() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

void RunningProgram::signal(int number) {
  if (running()) ::kill(pid_, number);
}

ProgramResult RunningProgram::wait() {
  if (!ended_) ::waitpid(pid_, &status_, 0);
  ended_ = true;
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, fs::exists(folder_ / "output") ? read_file(folder_ / "output") : ""};
}

std::vector<Json> events_of(const fs::path& run) { return read_json_lines(run / "events.jsonl"); }

std::vector<std::string> metrics_without_times(const fs::path& run) {
  std::vector<std::string> lines;
  for (const Json& line : read_json_lines(run / "metrics.jsonl")) {
    Json kept = Json::object();
    for (const auto& [key, value] : line.items())
      if (!key.starts_with("time/")) kept[key] = value;
    lines.push_back(kept.dump());
  }
  return lines;
}

}  // namespace temper::test
