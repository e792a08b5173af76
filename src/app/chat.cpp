#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "app/generation.h"
#include "base/console.h"
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

// Lines of standard input.  A signal ends the wait for them, also while one that never ends comes in.
class InputLines {
 public:
  static constexpr size_t kMostBytes = size_t{16} << 20;

  // false: the end, or a signal.  `line` holds at most kMostBytes of its `n_bytes`.
  bool next(std::string& line, size_t& n_bytes) {
    line.clear();
    n_bytes = 0;
    while (!interrupt_requested()) {
      if (begin_ == end_) {
        const ssize_t n = ::read(STDIN_FILENO, chunk_.data(), chunk_.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n_bytes > 0;   // a last line needs no line end
        begin_ = 0;
        end_ = static_cast<size_t>(n);
      }
      const char* start = chunk_.data() + begin_;
      const char* stop = std::find(start, static_cast<const char*>(chunk_.data() + end_), '\n');
      const size_t n = static_cast<size_t>(stop - start);
      line.append(start, std::min(n, kMostBytes - line.size()));
      n_bytes += n;
      begin_ += n;
      if (begin_ == end_) continue;
      ++begin_;
      return true;
    }
    return false;
  }

 private:
  std::array<char, 1 << 16> chunk_;
  size_t begin_ = 0, end_ = 0;
};

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
  // false: the end, or Ctrl-C at the prompt.
  bool read(std::string& line) {
    if (terminal_) fmt::print(stderr, "> ");
    size_t n_bytes = 0;
    if (!input_.next(line, n_bytes)) return false;
    if (n_bytes == line.size()) return true;
    fmt::print(stderr, "Not sent: the line has {} bytes, the longest message has {}.\n", n_bytes, InputLines::kMostBytes);
    line.clear();
    return true;
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
    const std::vector<Response> responses = generator_.engine().generate({request}, [this](size_t, std::string_view text) {
      options_.raw ? write_output(text) : print_text(text);
      return !interrupt_requested();
    });
    print_text("\n");
    if (termination_requested()) throw Interrupted{};   // the program is meant, not the answer
    clear_interrupt();
    return responses[0].text;
  }

  GenerationOptions options_;
  Generator generator_;
  bool terminal_, thinking_ = options_.chat.thinking_mode == "thinking";
  InputLines input_;
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
  command.flag("--raw", options->raw, "write answers as they are; else control characters are shown as \\x1b, so that no answer commands the terminal");
  command.flag("--plain", options->plain, "no chat format: the model continues what is typed (for base models)");
  command.footer(std::string("In the conversation:\n") + kHelp +
                  "\nExamples:\n"
                  "  temper chat --model mini-v4\n"
                  "  temper chat --model mini-v4 --system \"answer in one sentence\" --temperature 0\n"
                  "  temper chat --model base --plain");
  command.run([options] { return Chat(*options).run(); });
}

}  // namespace temper
