#include "base/placeholder.h"

#include <algorithm>
#include <cctype>

namespace temper {
namespace {

constexpr std::string_view kPointer = "version https://git-lfs.github.com/spec/";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// "12345" of the line "size 12345".
std::string size_of_pointer(std::string_view text) {
  const size_t at = text.find("\nsize ");
  if (at == std::string_view::npos) return "unknown";
  const std::string_view rest = text.substr(at + 6);
  return std::string(rest.substr(0, rest.find_first_not_of("0123456789")));
}

bool is_page(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  std::string head(text.substr(0, 14));
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
  return head.starts_with("<!doctype html") || head.starts_with("<html") || head.starts_with("<?xml") || head.starts_with("<head");
}

}  // namespace

void refuse_placeholder(std::string_view head, const std::string& where, ErrorKind kind) {
  if (head.starts_with(kPointer))
    throw Error({.kind = kind,
                 .what = "this is a Git LFS pointer, not the file itself (which has " + size_of_pointer(head) + " bytes)",
                 .where = where,
                 .fix = "fetch the file itself: git lfs pull in the folder it was cloned to, or download it again"});
  if (is_page(head))
    throw Error({.kind = kind,
                 .what = "this is an HTML or XML page, not the file itself: the download was answered with a message",
                 .where = where,
                 .fix = "open it in a browser to see why (a login, a licence to accept, a wrong address), then download the file again"});
  if (head.empty()) throw Error({.kind = kind, .what = "the file is empty", .where = where, .fix = "download or copy it again"});
}

}  // namespace temper
