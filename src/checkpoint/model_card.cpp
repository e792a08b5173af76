#include "checkpoint/model_card.h"

namespace temper {

std::string card_with_section(const std::optional<std::string>& card, const std::string& name, const std::string& text) {
  const std::string begin = "<!-- temper " + name + " -->\n", end = "<!-- end of temper " + name + " -->\n";
  const std::string section = text.empty() ? "" : begin + text + "\n" + end;
  std::string result = card.value_or("# Model\n");
  if (const size_t from = result.find(begin); from != std::string::npos) {
    const size_t to = result.find(end, from);
    if (to != std::string::npos) return result.replace(from, to + end.size() - from, section);
  }
  if (section.empty()) return result;
  if (!result.empty() && !result.ends_with('\n')) result += '\n';
  return result + "\n" + section;
}

}  // namespace temper
