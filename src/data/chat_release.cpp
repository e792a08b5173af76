#include "data/chat_release.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/config.h"
#include "base/json.h"
#include "base/log.h"
#include "data/chat_texts.h"

namespace temper {
namespace {

struct Effort {
  const char* name;
  std::string_view text;
};
struct Profile {
  const char* release;
  std::vector<Effort> efforts;   // the first is the default
};

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all = {{"preview", {{"none", ""}, {"high", ""}, {"max", chat::kAbsoluteEffort}}},
                                           {"0731", {{"low", ""}, {"high", chat::kAbsoluteEffort}, {"max", chat::kBeyondEffort}}}};
  return all;
}

std::string names_of(const Profile& profile) {
  std::string names;
  for (const Effort& effort : profile.efforts) names += (names.empty() ? "" : ", ") + std::string(effort.name);
  return names;
}

[[noreturn]] void refuse_release(std::string what, std::string where, std::string fix) {
  throw Error({.kind = ErrorKind::kConfig, .what = std::move(what), .where = std::move(where), .fix = std::move(fix)});
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// The text that DEFAULT_REASONING_EFFORT is set to, or "".
std::string default_effort(const std::string& code) {
  const size_t name = code.find("DEFAULT_REASONING_EFFORT");
  if (name == std::string::npos) return "";
  const std::string line = code.substr(name, code.find('\n', name) - name);
  const size_t begin = line.find_first_of("\"'"), end = line.find_first_of("\"'", begin == std::string::npos ? begin : begin + 1);
  return begin == std::string::npos || end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
}

/// The encoder that the release ships.  By content: copies with other comments have another hash.
FoundRelease release_of_encoder(const fs::path& file) {
  const std::string code = read_file(file);
  const bool table = contains(code, "REASONING_EFFORT_PROMPTS");
  if (contains(code, "Beyond maximum") || (table && contains(code, "\"low\"")) || default_effort(code) == "low")
    return {"0731", fmt::format("{} has the efforts low, high and max", file.string()), true};
  if (contains(code, "Absolute maximum") || contains(code, "REASONING_EFFORT_MAX")) return {"preview", fmt::format("{} has one effort text", file.string()), true};
  return {"", fmt::format("{} holds no effort texts", file.string())};
}

std::optional<FoundRelease> release_of_recipe(const fs::path& file) {
  const toml::table recipe = parse_toml(read_file(file), file.string());
  const std::string release = recipe["data"]["chat_release"].value_or(std::string("auto"));
  if (release == "auto") return std::nullopt;
  return FoundRelease{release, fmt::format("the run of {} was trained with it", file.string()), true};
}

bool has_drafter_keys(const fs::path& file) {
  try {
    const Json config = read_json(file);
    if (!config.is_object()) return false;
    return std::any_of(config.items().begin(), config.items().end(), [](const auto& item) { return item.key().starts_with("dspark_"); });
  } catch (const Error&) {
    return false;   // who reads the config says what is wrong with it
  }
}

}  // namespace

std::string_view effort_text(const std::string& release, const std::string& effort, const std::string& key) {
  if (effort.empty()) return "";
  for (const Profile& profile : profiles()) {
    if (profile.release != release) continue;
    for (const Effort& known : profile.efforts)
      if (known.name == effort) return known.text;
    refuse_release(fmt::format("the release {} has no reasoning effort {:?}; it has {}", release, effort, names_of(profile)), key,
         fmt::format("choose one of {}, or the other release", names_of(profile)));
  }
  refuse_release(fmt::format("the effort {:?} is set, but the release of the chat format is not known: preview and 0731 have different effort texts", effort), key,
       "set the release: preview or 0731");
}

FoundRelease find_chat_release(const std::vector<fs::path>& paths) {
  std::vector<fs::path> folders;
  for (const fs::path& path : paths) {
    const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
  }
  for (const fs::path& folder : folders) {
    if (!fs::is_regular_file(folder / "manifest.json") || !fs::is_regular_file(folder / "recipe.toml")) continue;
    if (const auto found = release_of_recipe(folder / "recipe.toml")) return *found;
  }
  for (const fs::path& folder : folders)
    if (const fs::path file = folder / "encoding/encoding_dsv4.py"; fs::is_regular_file(file)) return release_of_encoder(file);
  for (const fs::path& folder : folders)
    if (const fs::path file = folder / "config.json"; fs::is_regular_file(file) && has_drafter_keys(file))
      return {"", fmt::format("{} has dspark_* keys, as -DSpark copies of the preview and the releases of 0731 and 0813 do, and encoding/encoding_dsv4.py is missing", file.string())};
  return {"preview", "neither an encoding file nor dspark_* keys: the first release"};
}

std::string resolve_chat_release(const std::string& wanted, const std::string& effort, const std::string& thinking_mode,
                                 const std::vector<fs::path>& paths, const ChatReleaseKeys& keys) {
  const FoundRelease found = find_chat_release(paths);
  std::string release = wanted;
  if (wanted != "auto") {
    if (found.said && found.release != wanted)
      warn_once("chat", "{} = {}, but the model's folder is of the release {} ({})", keys.release, wanted, found.release, found.reason);
  } else if (!found.release.empty()) {
    release = found.release;
  } else if (!effort.empty()) {
    refuse_release(fmt::format("{} = auto cannot tell the release, and the effort {:?} has another text in each: {}", keys.release, effort, found.reason),
         paths.empty() ? "" : paths.front().string(), fmt::format("set {} to preview (-DSpark) or 0731 (also 0813)", keys.release));
  } else {
    warn_once("chat", "{} = auto cannot tell the release: {}; without {} the text is the same in both, set {} to preview (-DSpark) or 0731 to end this warning",
              keys.release, found.reason, keys.effort, keys.release);
  }
  effort_text(release, effort, keys.effort);   // refuses an effort that the release does not have
  if (!effort.empty() && thinking_mode != "thinking") warn_once("chat", "{} = {} has no effect outside thinking mode", keys.effort, effort);
  return release;
}

}  // namespace temper
