#pragma once
// Config structs <-> TOML.  A struct lists its keys once, in `visit`; parsing, bounds, unknown keys, resolved.toml,
// help and docs/config.md all come from that one list.
//
//   struct MuonConfig {
//     double momentum = 0.95;
//     template <class Visitor> void visit(Visitor& v) {
//       v("momentum", momentum, "decay of the momentum buffer, per step", between(0.0, 1.0));
//     }
//   };
//
// Kinds of member: bool, int64_t, double, std::string, std::vector of those, a struct with `visit` (a [section]),
// a std::vector of such structs (an [[array]] of sections).

#include <stdexcept>

namespace temper::detail {
constexpr void toml_expect(bool condition) {
  if (!condition) throw std::logic_error("unexpected character");
}
}  // namespace temper::detail
/// The library asserts on some malformed text ("[[?a]]"); that is the user's mistake, not ours.
#define TOML_ASSERT(condition) ::temper::detail::toml_expect(static_cast<bool>(condition))

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <toml++/toml.h>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace temper {

/// What a value must satisfy.  Empty = anything.
struct Rule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;   // for strings

  bool bounded() const { return std::isfinite(min) || std::isfinite(max); }
  std::string text() const;           // "in [0, 1]", "one of adamw, muon", ""
};
inline Rule between(double min, double max) { return {min, max, {}}; }
inline Rule at_least(double min) { return {min, std::numeric_limits<double>::infinity(), {}}; }
inline Rule one_of(std::vector<std::string> choices) {
  Rule rule;
  rule.choices = std::move(choices);
  return rule;
}

namespace detail {
struct AnyVisitor {
  template <class T> void operator()(const char*, T&, const char*, const Rule& = {}) {}
};
template <class T> concept Section = requires(T t, AnyVisitor v) { t.visit(v); };
template <class T> struct is_vector : std::false_type {};
template <class T> struct is_vector<std::vector<T>> : std::true_type {};

std::string toml_double(double value);                 // always with a point or exponent, shortest that reads back equal
std::string toml_string(const std::string& value);
std::string where_in_toml(const std::string& section, const std::string& key, const toml::source_region& source);
[[noreturn]] void throw_config(std::string what, std::string where, std::string fix);
void check_rule(const Rule& rule, double value, const std::string& key, const std::string& where);
void check_rule(const Rule& rule, const std::string& value, const std::string& key, const std::string& where);
}  // namespace detail

/// Fills a struct from a TOML table.  Throws Error{kConfig} for unknown keys, wrong types and broken rules.
class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string section) : table_(table), section_(std::move(section)) {}

  template <class T> void operator()(const char* key, T& member, const char*, const Rule& rule = {}) {
    known_.insert(key);
    const toml::node* node = table_.get(key);
    if (!node) return;
    const std::string where = detail::where_in_toml(section_, key, node->source());
    if constexpr (detail::Section<T>) {
      const toml::table* sub = node->as_table();
      if (!sub) detail::throw_config(fmt::format("{} must be a section", key), where, fmt::format("write [{}]", path(key)));
      read(*sub, path(key), member);
    } else if constexpr (detail::is_vector<T>::value) {
      read_list(key, *node, member, where, rule);
    } else {
      member = value<T>(*node, key, where, rule);
    }
  }

  template <class T> static void read(const toml::table& table, const std::string& section, T& into) {
    TomlReader reader(table, section);
    into.visit(reader);
    reader.reject_unknown();
  }

 private:
  std::string path(const std::string& key) const { return section_.empty() ? key : section_ + "." + key; }
  void reject_unknown() const;

  template <class T>
  static T value(const toml::node& node, const std::string& key, const std::string& where, const Rule& rule) {
    if constexpr (std::is_same_v<T, bool>) {
      if (const auto v = node.value_exact<bool>()) return *v;
      detail::throw_config(fmt::format("{} must be true or false", key), where, "write true or false, without quotes");
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (const auto v = node.value_exact<std::string>()) {
        detail::check_rule(rule, *v, key, where);
        return *v;
      }
      detail::throw_config(fmt::format("{} must be a string", key), where, "put the value in quotes");
    } else if constexpr (std::is_same_v<T, int64_t>) {
      if (const auto v = node.value_exact<int64_t>()) {
        detail::check_rule(rule, static_cast<double>(*v), key, where);
        return *v;
      }
      detail::throw_config(fmt::format("{} must be a whole number", key), where, "write it without a point and without quotes");
    } else {
      static_assert(std::is_same_v<T, double>, "a config member is bool, int64_t, double, std::string, a section or a list");
      std::optional<double> v = node.value_exact<double>();
      if (!v)
        if (const auto i = node.value_exact<int64_t>()) v = static_cast<double>(*i);
      if (v) {
        detail::check_rule(rule, *v, key, where);
        return *v;
      }
      detail::throw_config(fmt::format("{} must be a number", key), where, "write it without quotes");
    }
  }

  template <class T>
  void read_list(const char* key, const toml::node& node, std::vector<T>& member, const std::string& where, const Rule& rule) {
    const toml::array* array = node.as_array();
    if (!array) detail::throw_config(fmt::format("{} must be a list", key), where, "write [a, b, ...]");
    member.clear();
    for (const toml::node& item : *array) {
      const std::string at = detail::where_in_toml(section_, key, item.source());
      if constexpr (detail::Section<T>) {
        const toml::table* sub = item.as_table();
        if (!sub) detail::throw_config(fmt::format("{} must be a list of sections", key), at, fmt::format("write [[{}]]", path(key)));
        T element;
        read(*sub, path(key), element);
        member.push_back(std::move(element));
      } else {
        member.push_back(value<T>(item, key, at, rule));
      }
    }
  }

  const toml::table& table_;
  std::string section_;
  std::set<std::string> known_;
};

/// Renders a struct as TOML, each key with its explanation.
class TomlWriter {
 public:
  explicit TomlWriter(std::string section) : section_(std::move(section)) {}

  template <class T> void operator()(const char* key, T& member, const char* doc, const Rule& = {}) {
    if constexpr (detail::Section<T>) {
      sections_ += render(member, path(key), "[" + path(key) + "]");
    } else if constexpr (detail::is_vector<T>::value) {
      if constexpr (detail::Section<typename T::value_type>) {
        for (auto& element : member) sections_ += render(element, path(key), "[[" + path(key) + "]]");
      } else {
        std::string list;
        for (const auto& element : member) list += (list.empty() ? "" : ", ") + text(element);
        line(key, "[" + list + "]", doc);
      }
    } else {
      line(key, text(member), doc);
    }
  }

  template <class T> static std::string render(T& config, const std::string& section = "", const std::string& header = "") {
    TomlWriter writer(section);
    config.visit(writer);
    return (header.empty() ? "" : "\n" + header + "\n") + writer.keys_ + writer.sections_;
  }

 private:
  std::string path(const std::string& key) const { return section_.empty() ? key : section_ + "." + key; }
  void line(const char* key, const std::string& value, const char* doc) {
    keys_ += fmt::format("{:<40}  # {}\n", fmt::format("{} = {}", key, value), doc);
  }
  static std::string text(bool v) { return v ? "true" : "false"; }
  static std::string text(int64_t v) { return fmt::format("{}", v); }
  static std::string text(double v) { return detail::toml_double(v); }
  static std::string text(const std::string& v) { return detail::toml_string(v); }

  std::string section_, keys_, sections_;
};

/// Markdown table of a struct's keys: path, default, rule, meaning (docs/config.md).
class MarkdownWriter {
 public:
  explicit MarkdownWriter(std::string section) : section_(std::move(section)) {}
  template <class T> void operator()(const char* key, T& member, const char* doc, const Rule& rule = {}) {
    const std::string path = section_.empty() ? key : section_ + "." + key;
    if constexpr (detail::Section<T>) {
      rows_ += render(member, path);
    } else if constexpr (detail::is_vector<T>::value) {
      if constexpr (detail::Section<typename T::value_type>) {
        typename T::value_type element;
        rows_ += render(element, path + "[]");
      } else {
        row(path, "list", rule, doc);
      }
    } else {
      row(path, fmt::format("{}", member), rule, doc);
    }
  }
  template <class T> static std::string render(T& config, const std::string& section = "") {
    MarkdownWriter writer(section);
    config.visit(writer);
    return writer.rows_;
  }

 private:
  void row(const std::string& path, const std::string& value, const Rule& rule, const char* doc) {
    rows_ += fmt::format("| `{}` | {} | {} | {} |\n", path, value.empty() ? "–" : "`" + value + "`", rule.text(), doc);
  }
  std::string section_, rows_;
};

/// One `--set path=value`: the value is TOML if it parses as such, else a string.
void apply_override(toml::table& table, const std::string& assignment);

/// Parses TOML text; errors are kConfig and name `where`:line.
toml::table parse_toml(std::string_view text, const std::string& where);

/// Reads a recipe file, applies overrides ("optim.muon.lr=1e-5"), fills `config`.
template <class Config>
void read_config(const fs::path& path, const std::vector<std::string>& overrides, Config& config) {
  toml::table table = parse_toml(read_file(path), path.string());
  for (const std::string& assignment : overrides) apply_override(table, assignment);
  TomlReader::read(table, "", config);
}

template <class Config> std::string render_toml(Config& config) { return TomlWriter::render(config); }

}  // namespace temper
