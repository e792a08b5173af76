#pragma once
// The one exception of the program, and the scopes that say what was being done when it was thrown.

#include <exception>
#include <source_location>
#include <string>

namespace temper {

/// Who must act: kConfig and kData the user, kCheckpoint the storage, kComm and kResource the machine or cluster,
/// kNumerics the training policy, kInternal us.  The value is also the process's exit code.
enum class ErrorKind { kConfig = 2, kData, kCheckpoint, kComm, kResource, kNumerics, kInternal };

/// "config", "data", ... as printed.
const char* error_kind_name(ErrorKind kind);

/// An error a person can act on.
///   what   the fact, with the found and the needed value
///   where  something the reader can open: file:line of a key, tensor and shard, rank and step
///   fix    the next action
/// Open WhileDoing scopes of the throwing thread are appended to `where`.
class Error : public std::exception {
 public:
  struct Parts {
    ErrorKind kind;
    std::string what, where, fix;
  };
  explicit Error(Parts parts, std::source_location at = std::source_location::current());

  ErrorKind kind() const { return parts_.kind; }
  const Parts& parts() const { return parts_; }
  int exit_code() const { return static_cast<int>(parts_.kind); }
  /// The four lines: kind and what, where, fix, code.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Parts parts_;
  std::string text_;
};

/// While it lives, errors thrown on this thread say what was being done.  Use on coarse scopes only.
class WhileDoing {
 public:
  explicit WhileDoing(std::string what);
  ~WhileDoing();
  WhileDoing(const WhileDoing&) = delete;
  WhileDoing& operator=(const WhileDoing&) = delete;
};

}  // namespace temper
