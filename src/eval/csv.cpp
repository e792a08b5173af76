#include "eval/csv.h"

#include <fmt/format.h>

#include "base/error.h"

namespace temper {

std::vector<std::vector<std::string>> parse_csv(std::string_view text, const std::string& where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record;
  std::string field;
  size_t line = 1, first_line = 1;
  bool quoted = false, any = false;   // any: the record has begun
  const auto end_field = [&] {
    record.push_back(std::move(field));
    field.clear();
  };
  const auto end_record = [&] {
    if (!any) return;   // an empty line
    end_field();
    if (!records.empty() && record.size() != records[0].size())
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("a record of {} fields, the header has {}", record.size(), records[0].size()),
                   .where = fmt::format("{}:{}", where, first_line),
                   .fix = "put fields that hold commas or line breaks in double quotes"});
    records.push_back(std::move(record));
    record.clear();
    any = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!any && c != '\n' && c != '\r') any = true, first_line = line;
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') field += text[++i];
      else quoted = false;
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      end_record();
    } else if (c != '\r') {
      field += c;
    }
  }
  if (quoted)
    throw Error({.kind = ErrorKind::kData,
                 .what = "a quoted field is never closed",
                 .where = fmt::format("{}:{}", where, first_line),
                 .fix = "the file may be cut off: fetch it again, or close the quote"});
  end_record();
  return records;
}

}  // namespace temper
