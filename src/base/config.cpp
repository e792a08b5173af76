#include "base/config.h"

#include <charconv>

#include "base/toml_text.h"

namespace temper {

std::string Rule::text() const {
  if (!choices.empty()) {
    std::string list;
    for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
    return "one of " + list;
  }
  if (std::isfinite(min) && std::isfinite(max)) return fmt::format("in [{}, {}]", min, max);
  if (std::isfinite(min)) return fmt::format("at least {}", min);
  if (std::isfinite(max)) return fmt::format("at most {}", max);
  return "";
}

namespace detail {

std::string toml_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;   // shortest that reads back equal
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string toml_string(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) out += fmt::format("\\u{:04x}", static_cast<int>(c));
        else out += c;
    }
  }
  return out + "\"";
}

std::string where_in_toml(const std::string& section, const std::string& key, const toml::source_region& source) {
  const std::string place = section.empty() ? key : fmt::format("[{}] {}", section, key);
  if (!source.path || source.begin.line == 0) return place + ", given by --set";
  return fmt::format("{}, {}:{}", place, *source.path, source.begin.line);
}

void throw_config(std::string what, std::string where, std::string fix) {
  throw Error({.kind = ErrorKind::kConfig, .what = std::move(what), .where = std::move(where), .fix = std::move(fix)});
}

void check_rule(const Rule& rule, double value, const std::string& key, const std::string& where) {
  if (std::isfinite(value) && value >= rule.min && value <= rule.max) return;
  const std::string needed = rule.bounded() ? rule.text() : "a finite number";
  throw_config(fmt::format("{} = {} is not {}", key, value, needed), where,
               fmt::format("choose a {}value {}", std::isfinite(value) ? "" : "finite ", rule.bounded() ? rule.text() : ""));
}

void check_rule(const Rule& rule, const std::string& value, const std::string& key, const std::string& where) {
  if (rule.choices.empty()) return;
  for (const std::string& choice : rule.choices)
    if (choice == value) return;
  throw_config(fmt::format("{} = \"{}\" is not {}", key, value, rule.text()), where, fmt::format("choose {}", rule.text()));
}

}  // namespace detail

void TomlReader::reject_unknown() const {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (known_.count(name)) continue;
    std::string list;
    for (const std::string& known : known_) list += (list.empty() ? "" : ", ") + known;
    detail::throw_config(fmt::format("{} is not a key of {}", name, section_.empty() ? "this file" : "this section"),
                         detail::where_in_toml(section_, name, node.source()), "known keys: " + list);
  }
}

toml::table parse_toml(std::string_view text, const std::string& where) {
  const std::string plain = detail::ascii_toml(text, where);
  try {
    return toml::parse(std::string_view(plain), where);
  } catch (const toml::parse_error& e) {
    throw Error({.kind = ErrorKind::kConfig,
                 .what = fmt::format("not valid TOML: {}", e.description()),
                 .where = fmt::format("{}:{}", where, e.source().begin.line),
                 .fix = "repair that line"});
  } catch (const std::logic_error& e) {
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("not valid TOML: {}", e.what()), .where = where,
                 .fix = "look for a key or section header with characters that need quotes"});
  }
}

void apply_override(toml::table& table, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    detail::throw_config(fmt::format("--set {} has no '='", assignment), "command line", "write --set path.to.key=value");
  const std::string path = assignment.substr(0, equals), value = assignment.substr(equals + 1);

  // A value that is no TOML (a bare word, a path), or that is more than one value, is a string.
  toml::table parsed;
  try {
    parsed = toml::parse(detail::ascii_toml("value = " + value, "command line"));
  } catch (const std::exception&) {
    parsed.clear();
  }
  if (parsed.size() != 1) parsed = toml::table{{"value", value}};

  toml::table* section = &table;
  size_t start = 0;
  for (size_t dot; (dot = path.find('.', start)) != std::string::npos; start = dot + 1) {
    const std::string key = path.substr(start, dot - start);
    toml::node* node = section->get(key);
    if (!node) node = &section->insert(key, toml::table{}).first->second;
    section = node->as_table();
    if (!section)
      detail::throw_config(fmt::format("--set {}: {} is not a section", assignment, path.substr(0, dot)), "command line",
                           "use the path of a key, as in resolved.toml");
  }
  // A fresh node has no source region: errors about it say "--set".
  parsed.get("value")->visit([&](auto& node) { section->insert_or_assign(path.substr(start), std::move(node)); });
}

}  // namespace temper
