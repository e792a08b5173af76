#pragma once
// Regular expressions that find what Python's `re` finds, on PCRE2.
// Differences that are bridged: \s (Python counts U+001C-1F as white space), "\Z", "{,n}", "[" inside a class, ^ after a closing newline,
// and that ı and İ match i when case is ignored.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::text {

enum RegexFlags : unsigned { kNoFlags = 0, kIgnoreCase = 1, kMultiline = 2, kVerbose = 4 };

/// One match: byte positions of the whole and of the groups (npos where a group took no part).
struct Match {
  std::string_view subject;
  std::vector<std::pair<size_t, size_t>> groups;

  size_t start() const { return groups[0].first; }
  size_t end() const { return groups[0].second; }
  bool has(size_t group) const { return groups[group].first != std::string_view::npos; }
  std::string_view str(size_t group = 0) const {
    return has(group) ? subject.substr(groups[group].first, groups[group].second - groups[group].first) : std::string_view();
  }
};

/// A compiled expression.  Const methods from any thread.
/// Errors  Error{kData} for an expression that does not compile, naming it and the place.
class Regex {
 public:
  explicit Regex(std::string_view pattern, unsigned flags = kNoFlags);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  std::optional<Match> search(std::string_view subject, size_t from = 0) const;   // re.search
  std::optional<Match> match(std::string_view subject) const;                     // re.match: at the start
  std::vector<Match> find_all(std::string_view subject) const;                    // re.finditer
  size_t count(std::string_view subject) const { return find_all(subject).size(); }
  std::vector<std::string> split(std::string_view subject) const;                 // re.split, for expressions without groups
  /// re.sub: `replacement` makes the text for each match.
  std::string replace(std::string_view subject, const std::function<std::string(const Match&)>& replacement) const;

 private:
  std::optional<Match> run(std::string_view subject, size_t from, uint32_t options) const;
  struct Code;
  std::unique_ptr<Code> code_;
};

/// The PCRE2 form of a Python expression (exposed for its test).
std::string python_to_pcre(std::string_view pattern, unsigned flags);

}  // namespace temper::text
