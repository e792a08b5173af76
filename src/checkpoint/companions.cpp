#include "checkpoint/companions.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/placeholder.h"

namespace temper {
namespace {

constexpr std::array<std::string_view, 8> kTokenizerFiles = {"tokenizer.json",          "tokenizer_config.json", "vocab.json",          "merges.txt",
                                                             "special_tokens_map.json", "added_tokens.json",     "chat_template.jinja", "chat_template.json"};
constexpr std::array<std::string_view, 3> kVocabularies = {"tokenizer.json", "vocab.json", "merges.txt"};
constexpr std::string_view kTemplates = "additional_chat_templates/", kEncoding = "encoding/";

template <size_t n> bool contains(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_tokenizer_file(std::string_view name) { return contains(kTokenizerFiles, name) || name.starts_with(kTemplates); }

bool is_license(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string_view stem = std::string_view(upper).substr(0, upper.find_first_of(".-_"));
  return stem == "LICENSE" || stem == "LICENCE" || stem == "NOTICE" || stem == "COPYING";
}

bool is_weights(const std::string& name) {
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
}

// Names of the regular files in a folder and one level below it ("encoding/x.py").
std::vector<std::string> files_of(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) {
    const std::string name = item.path().filename().string();
    std::error_code ignored;
    if (item.is_regular_file(ignored)) names.push_back(name);
    if (!item.is_directory(ignored)) continue;
    for (const auto& inner : fs::directory_iterator(item.path(), ignored))
      if (inner.is_regular_file(ignored)) names.push_back(name + "/" + inner.path().filename().string());
  }
  if (error) throw_system_error("reading", folder, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool is_companion(std::string_view name) {
  if (name.starts_with(kEncoding)) return name.ends_with(".py");
  if (name.starts_with(kTemplates)) return name.ends_with(".jinja");
  if (name.find('/') != std::string_view::npos) return false;
  return is_tokenizer_file(name) || name == "generation_config.json" || name.ends_with(".py") || is_license(name);
}

std::vector<std::string> companions_of(const fs::path& folder) {
  std::vector<std::string> names = files_of(folder);
  std::erase_if(names, [](const std::string& name) { return !is_companion(name); });
  return names;
}

std::vector<std::string> other_files_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : files_of(folder)) {
    if (is_companion(name) || is_weights(name) || name == "config.json" || name.starts_with('.')) continue;
    const size_t slash = name.find('/');
    names.push_back(slash == std::string::npos ? name : name.substr(0, slash + 1));
  }
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string read_companion(const fs::path& folder, const std::string& name) {
  std::string content = read_file(folder / name);
  refuse_placeholder(content, (folder / name).string(), ErrorKind::kCheckpoint);
  return content;
}

NamedFiles read_companions(const fs::path& model_folder, const fs::path& tokenizer) {
  NamedFiles files;
  if (!model_folder.empty())
    for (const std::string& name : companions_of(model_folder))
      if (!is_tokenizer_file(name)) files.emplace_back(name, read_companion(model_folder, name));
  const bool is_file = !fs::is_directory(tokenizer);
  const fs::path folder = is_file ? fs::absolute(tokenizer).parent_path() : tokenizer;
  if (is_file) files.emplace_back("tokenizer.json", read_companion(folder, tokenizer.filename().string()));
  for (const std::string& name : companions_of(folder)) {
    // Next to a tokenizer given as a file, only what describes it is its own: the vocabulary is that file.
    if (is_tokenizer_file(name) && !(is_file && contains(kVocabularies, name))) files.emplace_back(name, read_companion(folder, name));
  }
  // The same vocabulary from another place: what describes it in the model's folder still does.
  const auto find = [&](const std::string& name) { return std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.first == name; }); };
  const auto vocabulary = find("tokenizer.json");
  if (!model_folder.empty() && vocabulary != files.end() && fs::is_regular_file(model_folder / "tokenizer.json") && read_file(model_folder / "tokenizer.json") == vocabulary->second)
    for (const std::string& name : companions_of(model_folder))
      if (is_tokenizer_file(name) && find(name) == files.end()) files.emplace_back(name, read_companion(model_folder, name));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace temper
