#include "rollout/answer_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

#include "base/json_checks.h"
#include "base/output.h"

namespace temper {
namespace {

constexpr const char* kFormat = "temper unfinished answers";
constexpr FinishReason kReasons[] = {FinishReason::kStop, FinishReason::kLength};

class Digest {
 public:
  Digest() { XXH3_64bits_reset(state_.get()); }
  void add(const void* data, size_t n_bytes) { XXH3_64bits_update(state_.get(), data, n_bytes); }
  template <class T>
  void number(T value) { add(&value, sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    add(value.data(), value.size());
  }
  void ids(const std::vector<int64_t>& values) {
    number(values.size());
    add(values.data(), values.size() * sizeof(int64_t));
  }
  std::string hex() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

std::string digest_of(const ModelWeights& weights) {
  Digest digest;
  for (const Parameter& parameter : weights.parameters()) {
    const Tensor packed = parameter.master.contiguous();
    digest.text(parameter.row.name);
    digest.add(packed.const_data_ptr(), packed.nbytes());
  }
  return digest.hex();
}

std::string digest_of(const std::vector<Request>& requests) {
  Digest digest;
  for (const Request& request : requests) {
    digest.ids(request.prompt_ids);
    digest.ids(request.stop_ids);
    for (const std::string& stop : request.stop_strings) digest.text(stop);
    digest.number(request.sampling.temperature);
    digest.number(request.sampling.top_p);
    digest.number(request.sampling.top_k);
    digest.number(request.sampling.seed);
    digest.number(request.max_new_tokens);
    digest.number(request.index);
  }
  return digest.hex();
}

[[noreturn]] void refuse(const fs::path& path, std::string what) {
  throw Error({.kind = ErrorKind::kConfig, .what = std::move(what), .where = path.string(),
               .fix = "repeat the command that was stopped to go on with it, give --overwrite to forget its answers, or choose another --out"});
}

std::optional<FinishReason> reason_of(const Json& name) {
  for (const FinishReason reason : kReasons)
    if (name == finish_reason_name(reason)) return reason;
  return {};
}

}  // namespace

AnswerJournal::AnswerJournal(const fs::path& path, const Json& depends_on, Options options) : path_(path), start_anew_(options.start_anew) {
  std::error_code error;
  const bool exists = fs::exists(fs::symlink_status(path, error));
  if (exists && !fs::is_regular_file(fs::symlink_status(path, error))) refuse(path, "this is the name for unfinished answers, and something else has it");
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd_ < 0) throw_system_error("creating", path, errno);
  try {
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      throw Error({.kind = ErrorKind::kResource, .what = "another process is writing these answers", .where = path.string(), .fix = "wait for it, or choose another --out"});
    if (exists) read(depends_on);
    if (start_anew_) answers_.clear();
    if (answers_.empty()) begin(depends_on);
    empty_ = answers_.empty();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

AnswerJournal::~AnswerJournal() {
  if (fd_ < 0) return;
  if (empty_) ::unlink(path_.c_str());   // nothing to go on behind
  ::close(fd_);
}

void AnswerJournal::begin(const Json& depends_on) {
  if (::ftruncate(fd_, 0) != 0) throw_system_error("writing", path_, errno);
  const std::string line = Json{{"format", kFormat}, {"depends_on", depends_on}}.dump() + "\n";
  write_all(fd_, line, path_);
}

void AnswerJournal::add(size_t number, const FinishedAnswer& answer) {
  const std::string line = Json{{"number", number}, {"text", answer.text}, {"finish_reason", finish_reason_name(answer.finish_reason)}, {"n_tokens", answer.n_tokens}}.dump() + "\n";
  write_all(fd_, line, path_);
  empty_ = false;
}

void AnswerJournal::remove() {
  remove_path(path_);
  ::close(fd_);
  fd_ = -1;
}

void AnswerJournal::read(const Json& depends_on) {
  const std::string content = read_file(path_);
  const size_t header_end = content.find('\n');
  if (header_end == std::string::npos) {   // nothing, or what a kill left of the first line
    const std::string start = Json{{"format", kFormat}}.dump();
    const std::string_view begun = std::string_view(start).substr(0, start.size() - 1);
    if (!begun.starts_with(content) && !content.starts_with(begun)) refuse(path_, "this is the name for unfinished answers, and something else has it");
    return;
  }
  const Json header = try_parse_json(std::string_view(content).substr(0, header_end)).value_or(Json());
  if (!header.is_object() || header.value("format", Json()) != kFormat) refuse(path_, "this is the name for unfinished answers, and something else has it");
  size_t whole = header_end + 1;
  for (size_t end; (end = content.find('\n', whole)) != std::string::npos; whole = end + 1) {
    const Json line = try_parse_json(std::string_view(content).substr(whole, end - whole)).value_or(Json());
    const std::optional<FinishReason> reason = line.is_object() ? reason_of(line.value("finish_reason", Json())) : std::nullopt;
    const bool good = reason && line.contains("number") && line["number"].is_number_unsigned() && line.contains("text") && line["text"].is_string() &&
                      line.contains("n_tokens") && line["n_tokens"].is_number_unsigned();
    if (good) answers_[line["number"].get<size_t>()] = {line["text"].get<std::string>(), *reason, line["n_tokens"].get<int64_t>()};   // a damaged line is answered again
  }
  if (whole < content.size() && ::ftruncate(fd_, static_cast<off_t>(whole)) != 0) throw_system_error("writing", path_, errno);
  const Json before = header.value("depends_on", Json());
  std::string changed;
  for (const auto& [name, value] : depends_on.items())
    if (!before.is_object() || before.value(name, Json()) != value) changed += (changed.empty() ? "" : ", ") + name;
  if (changed.empty() || answers_.empty()) return;
  if (!start_anew_) refuse(path_, fmt::format("{} answers of a stopped run are here, and since then these have changed: {}", answers_.size(), changed));
}

Json answers_depend_on(const ModelWeights& weights, const Tokenizer& tokenizer, const std::vector<Request>& requests, const EngineConfig& config) {
  return {{"model", digest_of(weights)},
          {"tokenizer", tokenizer.fingerprint()},
          {"prompts or settings", digest_of(requests)},
          {"dtype", dtype_name(weights.options().compute_dtype)},
          {"fp4_indexer", config.fp4_indexer}};
}

std::vector<FinishedAnswer> answer_requests(Engine& engine, const std::vector<Request>& requests, AnswerJournal* journal,
                                            const ProgressCallback& progress, const AnswerCallback& finished) {
  std::vector<FinishedAnswer> answers(requests.size());
  std::vector<Request> left;
  std::vector<size_t> numbers;   // of `left` in the whole list
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto kept = journal ? journal->answers().find(i) : std::map<size_t, FinishedAnswer>::const_iterator();
    if (journal && kept != journal->answers().end()) {
      answers[i] = kept->second;
      if (finished) finished(i, answers[i]);
    } else {
      left.push_back(requests[i]);
      numbers.push_back(i);
    }
  }
  const int64_t n_kept = static_cast<int64_t>(requests.size() - left.size());
  const auto take = [&](size_t place, const Response& response) {
    const size_t number = numbers[place];
    answers[number] = {response.text, response.finish_reason, static_cast<int64_t>(response.ids.size())};
    if (journal) journal->add(number, answers[number]);
    if (finished) finished(number, answers[number]);
  };
  const auto count = [&](int64_t n_finished, int64_t n_new_tokens) {
    if (progress) progress(n_kept + n_finished, n_new_tokens);
  };
  if (!left.empty()) engine.generate(left, {}, count, take);
  return answers;
}

}  // namespace temper
