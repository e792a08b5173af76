#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "app/generation.h"
#include "base/interrupt.h"
#include "data/chat_parser.h"

namespace temper {
namespace {

constexpr size_t kTerminalLine = 4095;   // Linux, N_TTY_BUF_SIZE less the line's end

constexpr const char* kHelp =
    "/system TEXT   begin again with this system message (without TEXT: with none)\n"
    "/reset         forget the conversation\n"
    "/think         answers with reasoning, or without, from now on\n"
    "/quit          end; so does Ctrl-D\n"
    "Ctrl-C stops the answer that is being written.\n";

ChatMessage message(Role role, const std::string& text) {
  ChatMessage message;
  message.role = role;
  if (role == Role::kUser) message.blocks = {{.is_tool_result = false, .text = text, .tool_call_id = {}}};
  else message.content = text;
  return message;
}

class Chat {
 public:
  explicit Chat(const GenerationOptions& options) : options_(options), generator_(options), terminal_(isatty(STDIN_FILENO) != 0) {}

  int run() {
    check_interrupt();   // Ctrl-C while the model was being read
    quiet_interrupts();
    if (terminal_) fmt::print(stderr, "{}", options_.plain ? "Type the beginning of a text; /quit ends.\n" : "Type a message; /help lists the commands.\n");
    for (std::string line; read(line);) {
      if (line.empty()) continue;
      if (terminal_ && line.size() >= kTerminalLine) {
        fmt::print(stderr, "Not sent: a terminal passes on {} bytes of a line, what was typed behind them is lost. Longer messages: temper chat < FILE, temper generate.\n", kTerminalLine);
        continue;
      }
      if (line.front() == '/' ? !command(line) : (say(line), false)) return 0;
    }
    if (terminal_) fmt::print(stderr, "\n");   // the shell's prompt gets a line of its own
    check_interrupt();   // Ctrl-C at the prompt
    return 0;
  }

 private:
  bool read(std::string& line) {
    if (terminal_) fmt::print(stderr, "> ");
    return static_cast<bool>(std::getline(std::cin, line));
  }

  // false: the end.
  bool command(const std::string& line) {
    if (line == "/quit") return false;
    if (line == "/reset") begin_again();
    else if (line == "/system" || line.starts_with("/system ")) {
      system_ = line.size() > 8 ? line.substr(8) : "";
      begin_again();
    } else if (line == "/think") {
      thinking_ = !thinking_;
      fmt::print(stderr, "thinking mode {}\n", thinking_ ? "on" : "off");
    } else {
      fmt::print(stderr, "{}", kHelp);
    }
    return true;
  }

  void begin_again() {
    conversation_.messages.clear();
    if (!system_.empty()) conversation_.messages.push_back(message(Role::kSystem, system_));
  }

  void say(const std::string& line) {
    if (options_.plain) {
      write(generator_.continue_text(line, n_answers_++));
      return;
    }
    if (conversation_.messages.empty()) begin_again();
    conversation_.messages.push_back(message(Role::kUser, line));
    const std::string text = write(generator_.answer(conversation_, n_answers_++, thinking_));
    conversation_.messages.push_back(parse_answer_tolerantly(text, thinking_).message);
  }

  std::string write(const Request& request) {
    const std::vector<Response> responses = generator_.engine().generate({request}, [](size_t, std::string_view text) {
      fwrite(text.data(), 1, text.size(), stdout);
      fflush(stdout);
      return !interrupt_requested();
    });
    clear_interrupt();
    fmt::print("\n");
    fflush(stdout);
    return responses[0].text;
  }

  GenerationOptions options_;
  Generator generator_;
  bool terminal_, thinking_ = options_.chat.thinking_mode == "thinking";
  uint64_t n_answers_ = 0;
  std::string system_ = options_.system;
  Conversation conversation_;
};

}  // namespace

void add_chat_command(const Command& program) {
  auto options = std::make_shared<GenerationOptions>();
  options->temperature = 0.7;
  options->top_p = 0.95;
  const Command command = program.add_command("chat", "Talk with a model in the terminal");
  add_generation_options(command, *options);
  command.option("--system", options->system, "system message");
  command.flag("--plain", options->plain, "no chat format: the model continues what is typed (for base models)");
  command.footer(std::string("In the conversation:\n") + kHelp +
                  "\nExamples:\n"
                  "  temper chat --model mini-v4\n"
                  "  temper chat --model mini-v4 --system \"answer in one sentence\" --temperature 0\n"
                  "  temper chat --model base --plain");
  command.run([options] { return Chat(*options).run(); });
}

}  // namespace temper
