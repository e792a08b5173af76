#include "app/commands.h"

namespace temper {

void add_train_command(const Command& program);
void add_generate_command(const Command& program);
void add_chat_command(const Command& program);
void add_probe_command(const Command& program);
void add_import_command(const Command& program);
void add_export_command(const Command& program);
void add_inspect_command(const Command& program);
void add_bench_command(const Command& program);
void add_docs_command(const Command& program);
void add_eval_command(const Command& program);
void add_compare_command(const Command& program);
void add_report_command(const Command& program);
void add_tokenizer_command(const Command& program);

const std::vector<AddCommand>& all_commands() {
  static const std::vector<AddCommand> commands = {
      add_train_command,
      add_generate_command,
      add_chat_command,
      add_probe_command,
      add_import_command,
      add_export_command,
      add_inspect_command,
      add_bench_command,
      add_docs_command,
      add_eval_command,
      add_compare_command,
      add_report_command,
      add_tokenizer_command,
  };
  return commands;
}

}  // namespace temper
