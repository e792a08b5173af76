// temper inspect FILE of training data, and --sample FILE[:N]: what training would make of it, by training's own path.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/inspection.h"
#include "base/threads.h"
#include "data/bpe_trainer.h"
#include "data/chat_release.h"
#include "data/chat_tokens.h"
#include "data/tokenizer_file.h"
#include "train/training_data.h"
#include "train/training_sample.h"

namespace temper {
namespace {

/// A vocabulary of the 256 bytes and the chat tokens: enough to read, convert and check rows, but not to count tokens.
Tokenizer byte_tokenizer() {
  constexpr int64_t kSize = 256 + std::size(chat::kLowest) + std::size(chat::kHighest);
  TokenizerFile file = parse_tokenizer_json(BpeTrainer().train(kSize).tokenizer_json(), "bytes");
  file.bos = chat::kBos, file.eos = chat::kEos, file.pad = chat::kPad;
  return Tokenizer::from_file(std::move(file));
}

/// Encodes, which checks the row, and keeps two tokens for each sample: a file of any size fits into memory.
SampleEncoder without_tokens(const SampleEncoder& encode) {
  return [encode](const TrainingRow& row) {
    std::vector<EncodedSample> samples = encode(row);
    for (EncodedSample& sample : samples) sample = {{0, 0}, {0.0f, sample.n_trained() > 0 ? 1.0f : 0.0f}};
    return samples;
  };
}

/// The file as the only source: as the recipe names it, if it does.
void keep_only(DataConfig& config, const fs::path& file, const fs::path& recipe_folder) {
  const auto names_it = [&](const DataSourceConfig& source) {
    std::error_code error;
    return fs::equivalent(recipe_folder / source.path, file, error);
  };
  DataSourceConfig only{.path = fs::absolute(file).string()};
  if (const auto found = std::find_if(config.sources.begin(), config.sources.end(), names_it); found != config.sources.end()) {
    only = *found;
  } else if (const auto held = std::find_if(config.held_out_sources.begin(), config.held_out_sources.end(), names_it); held != config.held_out_sources.end()) {
    only = *held;
    config.held_out_fraction = 0;
  }
  config.sources = {only};
  config.held_out_sources.clear();
}

/// Everything that decides what becomes of a file.
struct Setting {
  LoadedRecipe recipe;   // without a recipe only `recipe.data` and `recipe.stage`
  bool from_recipe = false, counts_tokens = true;
  std::string tokenizer_name;
  Tokenizer tokenizer;

  SampleEncoder encoder(const DataConfig& data) const {
    const SampleEncoder encode = stage_encoder(recipe.recipe.stage, tokenizer, data);
    return counts_tokens ? encode : without_tokens(encode);
  }
  /// As training does.
  LoadedData load() const {
    if (from_recipe) return load_training_data(recipe, tokenizer);
    const WhileDoing work("reading the training data");
    return load_samples(recipe.recipe.data, recipe.folder, encoder(recipe.recipe.data), available_threads());
  }
};

Setting setting_of(const fs::path& file, const DataView& view) {
  LoadedRecipe loaded;
  if (!view.recipe.empty()) loaded = load_recipe(view.recipe, view.overrides);
  else loaded.recipe.stage = "sft";
  if (!view.tokenizer.empty()) loaded.recipe.model.tokenizer = fs::absolute(view.tokenizer).string();
  keep_only(loaded.recipe.data, file, loaded.folder);
  const std::string path = !view.tokenizer.empty() ? view.tokenizer : view.recipe.empty() ? "" : loaded.tokenizer_path().string();
  if (!path.empty()) {
    if (view.recipe.empty()) loaded.recipe.data.chat_release = resolve_chat_release("auto", "", loaded.recipe.data.thinking_mode, {path}, kChatReleaseInRecipe);
    return {loaded, !view.recipe.empty(), true, path, Tokenizer::load(path)};
  }
  loaded.recipe.data.sequence_length = int64_t{1} << 40;   // lengths are not judged
  return {loaded, false, false, "", byte_tokenizer()};
}

/// What the rows of a refused file are when none of them ends the reading; nothing if the file as a whole is unreadable.
std::optional<LoadedData> census(const Setting& setting) {
  DataConfig data = setting.recipe.recipe.data;
  data.on_bad_row = "skip";
  if (data.on_over_length == "error") data.on_over_length = "skip";
  try {
    return count_samples(data, setting.recipe.folder, setting.encoder(data), available_threads());
  } catch (const Error&) {
    return std::nullopt;   // the verdict says why
  }
}

void add_counts(Inspection& out, const LoadedData& data, bool counts_tokens) {
  const LoadReport::Source& source = data.report.sources.front();
  out.json.update({{"rows", source.n_rows}, {"format", source.format}, {"bad_rows", source.n_bad}, {"over_length_rows", source.n_over_length}, {"cut_rows", source.n_truncated},
                   {"documents_split", source.n_split_documents}, {"samples", source.n_train_samples}, {"held_out_samples", source.n_held_out_samples},
                   {"examples", source.examples}, {"warnings", data.report.warnings()}});
  out.text += data.report.to_text();
  if (!data.report.position_warning.empty()) out.text += "  " + data.report.position_warning + "\n";
  if (!counts_tokens) return;
  out.json.update({{"tokens", data.train->n_tokens()}, {"trained_tokens", data.train->n_trained_tokens()}, {"longest_sample", data.train->longest()}});
  out.text += fmt::format("  {} tokens, {} of them trained; the longest sample has {}\n", detail::with_commas(data.train->n_tokens()),
                          detail::with_commas(data.train->n_trained_tokens()), detail::with_commas(data.train->longest()));
}

}  // namespace

namespace detail {

Inspection inspect_data(const fs::path& file, const DataView& view) {
  const Setting setting = setting_of(file, view);
  const DataConfig& data = setting.recipe.recipe.data;
  Inspection out{.json = {{"kind", "data"}, {"path", file.string()}}, .text = fmt::format("training data {}\n", file.string())};
  out.json["settings"] = view.recipe.empty() ? "default" : view.recipe;
  out.json["tokenizer"] = setting.counts_tokens ? Json(setting.tokenizer_name) : Json();
  out.text += fmt::format("settings: {}: stage {}, thinking_mode {}, {}bad rows {}\n", view.recipe.empty() ? "the default ones" : view.recipe, setting.recipe.recipe.stage, data.thinking_mode,
                          setting.counts_tokens ? fmt::format("sequence_length {} (longer: {}), ", data.sequence_length, data.on_over_length) : "", data.on_bad_row);
  out.text += setting.counts_tokens ? fmt::format("tokenizer: {}\n", setting.tokenizer_name)
                                    : "tokenizer: none was given, so tokens are not counted and lengths not judged (--tokenizer DIR or --recipe RECIPE.toml)\n";
  std::optional<LoadedData> loaded;
  try {
    loaded = setting.load();
    const DataLoader loader(loaded->train, data);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
    out.refused = error;
    loaded = census(setting);
  }
  if (loaded) add_counts(out, *loaded, setting.counts_tokens);
  out.json["usable"] = !out.refused;
  if (out.refused) {
    const Error::Parts& parts = out.refused->parts();
    out.json["error"] = {{"kind", error_kind_name(parts.kind)}, {"what", parts.what}, {"where", parts.where}, {"fix", parts.fix}, {"exit_code", out.refused->exit_code()}};
  }
  out.text += out.refused ? fmt::format("verdict: training stops: {}\n", out.refused->parts().what) : "verdict: training takes this file\n";
  return out;
}

}  // namespace detail

Inspection inspect_sample(const std::string& file_and_number, const DataView& view, bool colour) {
  const auto fail = [&](ErrorKind kind, std::string what, std::string fix) { throw Error({.kind = kind, .what = std::move(what), .where = "--sample " + file_and_number, .fix = std::move(fix)}); };
  if (view.recipe.empty() && view.tokenizer.empty()) fail(ErrorKind::kConfig, "a sample depends on the settings and the tokenizer", "give --recipe RECIPE.toml, or --tokenizer DIR for the default settings");
  std::string file = file_and_number;
  int64_t index = 0;
  if (const size_t colon = file.rfind(':'); colon != std::string::npos && !fs::exists(file)) {
    const char *begin = file.data() + colon + 1, *end = file.data() + file.size();
    if (const auto [read, error] = std::from_chars(begin, end, index); error != std::errc() || read != end || index < 0)
      fail(ErrorKind::kData, fmt::format("{:?} is not the number of a sample", std::string(begin, end)), "write FILE:N with N from 0");
    file.resize(colon);
  }
  Setting setting = setting_of(file, view);
  DataConfig& data = setting.recipe.recipe.data;
  data.epochs = 1;   // later passes take the same samples in another order
  const DataLoader loader(setting.load().train, data);
  const TrainingSample sample = training_sample(loader, data, setting.tokenizer, index);
  return {.json = sample.to_json(), .text = sample.to_text(colour)};
}

}  // namespace temper
