// temper tokenizer train, encode, decode

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <iterator>
#include <memory>
#include <sstream>

#include "app/tokenizer_commands.h"
#include "base/console.h"
#include "base/error.h"
#include "base/log.h"
#include "base/output.h"
#include "data/bpe_trainer.h"
#include "data/byte_source.h"
#include "data/tokenizer.h"

namespace temper {
namespace {

struct TrainOptions {
  std::vector<std::string> inputs;
  int64_t vocab_size = 2048;
  std::string out;
};

int train(const TrainOptions& options) {
  make_writable_folder(options.out);   // before the work
  BpeTrainer trainer;
  std::vector<std::string> kept(options.inputs.size());   // what cannot be read twice: pipes
  for (size_t i = 0; i < options.inputs.size(); ++i) {
    std::string text = read_all_bytes(options.inputs[i]);
    trainer.add(text);
    if (!fs::is_regular_file(options.inputs[i])) kept[i] = std::move(text);
  }
  const TrainedBpe trained = trainer.train(options.vocab_size);
  write_tokenizer(trained, options.out);
  const Tokenizer tokenizer = Tokenizer::load(options.out);
  size_t n_tokens = 0;
  for (size_t i = 0; i < options.inputs.size(); ++i) {
    const bool again = fs::is_regular_file(options.inputs[i]);
    n_tokens += tokenizer.encode_ordinary(again ? read_all_bytes(options.inputs[i]) : kept[i]).size();
  }
  log_info("tokenizer", "trained on {} bytes: ids={} merges={} bytes_per_token={:.3f} fingerprint={}", trainer.n_bytes(), tokenizer.vocab_size(),
           trained.merges.size(), n_tokens ? static_cast<double>(trainer.n_bytes()) / static_cast<double>(n_tokens) : 0.0, tokenizer.fingerprint());
  return 0;
}

struct CodeOptions {
  std::string tokenizer, file;
  bool ordinary = false, skip_special = false;
};

int encode(const CodeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  const std::string text = read_input(options.file);
  const std::vector<int32_t> ids = options.ordinary ? tokenizer.encode_ordinary(text) : tokenizer.encode(text);
  print_text(fmt::format("{}\n", fmt::join(ids, " ")));
  return 0;
}

int decode(const CodeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  std::istringstream in(read_input(options.file));
  std::vector<int32_t> ids;
  for (std::string word; in >> word;) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size()) {
      throw Error({.kind = ErrorKind::kData, .what = fmt::format("{:?} is not a token id", word), .where = options.file, .fix = "give ids as decimal numbers with blanks between them"});
    }
    ids.push_back(id);
  }
  write_output(tokenizer.decode(ids, options.skip_special));
  return 0;
}

}  // namespace

void add_tokenizer_command(const Command& program) {
  const Command command = program.add_command("tokenizer", "train a vocabulary; turn text into token ids and back");
  command.require_subcommand();
  command.footer(
      "Examples:\n"
      "  temper tokenizer train --input stories.txt --vocab-size 2048 --out mini\n"
      "  echo 'Hello world' | temper tokenizer encode --tokenizer DeepSeek-V4-Flash\n"
      "  temper tokenizer decode --tokenizer DeepSeek-V4-Flash ids.txt\n"
      "  temper tokenizer explain --tokenizer DeepSeek-V4-Flash chats.jsonl");

  auto train_options = std::make_shared<TrainOptions>();
  const Command train_command = command.add_command("train", "train a byte-level BPE with V4's pre-tokenizer and chat tokens");
  train_command.option("--input", train_options->inputs, "text files").required();
  train_command.option("--vocab-size", train_options->vocab_size, "ids in all, the 256 bytes and chat tokens included").show_default();
  train_command.option("--out", train_options->out, "folder for tokenizer.json and tokenizer_config.json").required();
  train_command.footer("Example:\n  temper tokenizer train --input a.txt b.txt --vocab-size 2048 --out mini");
  train_command.run([train_options] { return train(*train_options); });

  auto code_options = std::make_shared<CodeOptions>();
  const auto add_code_options = [&](const Command& sub) {
    sub.option("--tokenizer", code_options->tokenizer, "model folder or tokenizer.json").required();
    sub.option("file", code_options->file, "input file; - is standard input").default_text("-");
  };
  const Command encode_command = command.add_command("encode", "text -> token ids on one line");
  add_code_options(encode_command);
  encode_command.flag("--ordinary", code_options->ordinary, "take control tokens in the text as plain text");
  encode_command.footer("Example:\n  temper tokenizer encode --tokenizer mini story.txt");
  encode_command.run([code_options] { return encode(*code_options); });
  add_explain_command(command);
  const Command decode_command = command.add_command("decode", "token ids -> text, byte for byte");
  add_code_options(decode_command);
  decode_command.flag("--skip-special", code_options->skip_special, "leave control tokens out");
  decode_command.footer("Example:\n  temper tokenizer decode --tokenizer mini ids.txt");
  decode_command.run([code_options] { return decode(*code_options); });
}

}  // namespace temper
