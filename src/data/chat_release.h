#pragma once
// Which release's chat encoding a model folder was trained with, and the reasoning efforts of each.
//
//   release   efforts                     text before the conversation, in thinking mode only
//   preview   none (default), high, max   max: kAbsoluteEffort
//   0731      low (default), high, max    high: kAbsoluteEffort, max: kBeyondEffort
// "preview" is the first release and its -DSpark copies; "0731" are the refreshes of 31 July and 13 August.

#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace temper {

/// The text of an effort; empty = the release's default.
/// Error{kConfig} that names the efforts of `release` if it has no such effort, or if `release` is "auto" (not known) and the
/// effort is not empty.  `key`: what the user sets it with.
std::string_view effort_text(const std::string& release, const std::string& effort, const std::string& key = "effort");

struct FoundRelease {
  std::string release;   // "preview" or "0731"; empty if the folder does not say
  std::string reason;
  bool said = false;     // by the folder; else it is the first release for want of any sign
};

/// Looks for, in this order: the chat_release of a training checkpoint's recipe.toml, encoding/encoding_dsv4.py (its effort
/// table, its texts), dspark_* keys in config.json (both releases have them, so the release is not known), and else takes the
/// first release.  `paths`: model folder, tokenizer folder, config.json; the first that says something counts.
FoundRelease find_chat_release(const std::vector<fs::path>& paths);

/// Names of the two settings in messages.
struct ChatReleaseKeys {
  std::string release, effort;
};
inline const ChatReleaseKeys kChatReleaseInRecipe{"data.chat_release", "data.effort"};
inline const ChatReleaseKeys kChatReleaseOptions{"--chat-release", "--effort"};

/// The release to encode with: `wanted`, or, if that is "auto", the folder's.  "auto" comes back only where the folder does not
/// say and the text is the same in both releases (no effort is set); that is a warning.
/// Errors    Error{kConfig} if the release is not known and an effort is set; if the release has no such effort
/// Warnings  once: an effort outside thinking mode, a wanted release that is not the folder's
std::string resolve_chat_release(const std::string& wanted, const std::string& effort, const std::string& thinking_mode,
                                 const std::vector<fs::path>& paths, const ChatReleaseKeys& keys);

}  // namespace temper
