#include "app/commands.h"

namespace temper {

const std::vector<AddCommand>& all_commands() {
  static const std::vector<AddCommand> commands = {
  };
  return commands;
}

}  // namespace temper
