#pragma once
// The control tokens of DeepSeek-V4's chat format that this program writes and reads.
// Source: tokenizer of the DeepSeek-V4 release (MIT).

#include <string_view>

namespace temper::chat {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kPad = "<｜▁pad▁｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kThink = "<think>";
inline constexpr std::string_view kEndThink = "</think>";
inline constexpr std::string_view kDsml = "｜DSML｜";
inline constexpr std::string_view kLatestReminder = "<｜latest_reminder｜>";
inline constexpr std::string_view kAction = "<｜action｜>";
inline constexpr std::string_view kQuery = "<｜query｜>";
inline constexpr std::string_view kAuthority = "<｜authority｜>";
inline constexpr std::string_view kDomain = "<｜domain｜>";
inline constexpr std::string_view kTitle = "<｜title｜>";
inline constexpr std::string_view kReadUrl = "<｜read_url｜>";

/// The three that have the lowest ids, and those above the vocabulary, both in the order of their ids.
inline constexpr std::string_view kLowest[] = {kBos, kEos, kPad};
inline constexpr std::string_view kHighest[] = {kUser,  kAssistant, kThink,     kEndThink, kDsml,  kLatestReminder,
                                                kAction, kQuery,     kAuthority, kDomain,   kTitle, kReadUrl};

/// Markers that are part of an answer's text: decoding keeps them even when control tokens are left out.
constexpr bool is_text_marker(std::string_view token) { return token == kThink || token == kEndThink || token == kDsml; }

}  // namespace temper::chat
