#include "app/chat_options.h"

#include "data/chat_release.h"

namespace temper {

void add_chat_options(const Command& command, ChatOptions& options) {
  command.option("--thinking-mode", options.thinking_mode, "answers with (thinking) or without (chat) reasoning").one_of({"chat", "thinking"}).show_default();
  command.option("--chat-release", options.release, "whose effort texts: preview (first release, -DSpark) or 0731 (also 0813); auto: what the model's folder says")
      .one_of({"auto", "preview", "0731"})
      .show_default();
  command.option("--effort", options.effort, "in thinking mode; preview: none (default), high, max; 0731: low (default), high, max").one_of({"none", "low", "high", "max"});
}

ChatOptions with_release(ChatOptions options, const std::vector<fs::path>& paths) {
  options.release = resolve_chat_release(options.release, options.effort, options.thinking_mode, paths, kChatReleaseOptions);
  return options;
}

}  // namespace temper
