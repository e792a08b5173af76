#pragma once
// How conversations are rendered: the options that generate, chat, eval and tokenizer explain share.

#include "app/command_line.h"
#include "base/files.h"
#include "data/chat_encoding.h"

namespace temper {

/// --thinking-mode, --chat-release, --effort
void add_chat_options(const Command& command, ChatOptions& options);

/// The options with the release that the folders say, if it is "auto".  Errors and warnings as resolve_chat_release.
ChatOptions with_release(ChatOptions options, const std::vector<fs::path>& paths);

}  // namespace temper
