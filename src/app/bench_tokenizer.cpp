// temper bench tokenizer: bytes a second on one thread.

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "app/bench.h"
#include "base/clock.h"
#include "base/console.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/output.h"
#include "data/tokenizer.h"
#include "data/unicode.h"

namespace temper {
namespace {

struct TokenizerBenchArguments {
  std::string tokenizer;
  std::vector<std::string> inputs;
  int64_t repeats = 3;
  bool json = false;
};

constexpr int kPartCharacters = 4096;  // texts are encoded in parts, as documents come

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    for (int n = 0; n < kPartCharacters && end < text.size(); ++n) end += utf8_at(text, end).length;
    parts.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

int bench_tokenizer(const TokenizerBenchArguments& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  std::string text;
  for (const std::string& input : options.inputs) text += read_input(input);
  if (text.empty()) throw Error({.kind = ErrorKind::kData, .what = "the input is empty", .where = options.inputs.front(), .fix = "name a file with text"});
  const std::vector<std::string_view> parts = parts_of(text);
  double best_seconds = 0, best_cpu_seconds = 0;
  size_t n_tokens = 0;
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    const auto start = Clock::now();
    const std::clock_t cpu_start = std::clock();   // the fair figure on a machine that others use
    n_tokens = 0;
    check_interrupt();
    for (const std::string_view part : parts) n_tokens += tokenizer.encode(part).size();
    const double seconds = seconds_since(start);
    const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    best_cpu_seconds = repeat == 0 ? cpu_seconds : std::min(best_cpu_seconds, cpu_seconds);
    best_seconds = repeat == 0 ? seconds : std::min(best_seconds, seconds);
  }
  const double mb_s = static_cast<double>(text.size()) / best_seconds / 1e6;
  const double cpu_mb_s = static_cast<double>(text.size()) / std::max(best_cpu_seconds, 1e-9) / 1e6;
  if (options.json) {
    write_output(Json({{"bytes", text.size()}, {"tokens", n_tokens}, {"mb_s", mb_s}, {"cpu_mb_s", cpu_mb_s}}).dump() + "\n");
  } else {
    print("{} bytes, {} tokens: {:.1f} MB/s on one thread, {:.1f} MB a second of processor time (best of {})\n", text.size(), n_tokens, mb_s, cpu_mb_s, options.repeats);
  }
  return 0;
}

}  // namespace

void add_bench_tokenizer(const Command& bench_command) {
  auto options = std::make_shared<TokenizerBenchArguments>();
  const Command command = bench_command.add_command("tokenizer", "encode text on one thread, in parts of 4,096 characters");
  command.option("--tokenizer", options->tokenizer, "model folder or tokenizer.json").required();
  command.option("--input", options->inputs, "text files").required();
  command.option("--repeats", options->repeats, "passes; the best counts").show_default().positive();
  command.flag("--json", options->json, "print {\"bytes\", \"tokens\", \"mb_s\", \"cpu_mb_s\"}");
  command.footer("Example:\n  temper bench tokenizer --tokenizer DeepSeek-V4-Flash --input english.txt chinese.txt --json");
  command.run([options] { return bench_tokenizer(*options); });
}

}  // namespace temper
