#include <c10/util/Exception.h>

#include <cstdio>
#include <string_view>
#include <system_error>

#include "app/commands.h"
#include "app/version.h"
#include "app/waiting_threads.h"
#include "base/console.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/memory_reserve.h"
#include "base/output.h"
#include "tensor/allocator.h"
#include "tensor/compute_threads.h"

namespace {

constexpr int kReaderGoneExitCode = 141;   // as the shell shows a program that SIGPIPE ended

int run(int argc, char** argv) {
  const temper::Action action = temper::parse_command_line(argc, argv, temper::version_text(), temper::all_commands());
  temper::start_compute_threads();
  const int code = action();
  temper::finish_output();
  return code;
}

int fail(const temper::Error& error) {
  temper::print_error(std::string(error.what()) + "\n");
  return error.exit_code();
}

temper::Error internal(std::string what, std::string where = "") {
  return temper::Error({.kind = temper::ErrorKind::kInternal, .what = std::move(what), .where = std::move(where), .fix = "please report this"});
}

temper::Error out_of_memory(std::string what) {
  return temper::Error({.kind = temper::ErrorKind::kResource, .what = std::move(what), .where = "", .fix = "use smaller inputs or a machine with more memory"});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "train" || command == "bench") temper::start_with_short_spinning(argv);
  temper::open_closed_streams();
  temper::install_interrupt_handler();
  temper::install_memory_reserve();
  try {
    temper::install_caching_allocator();
    return run(argc, argv);
  } catch (const temper::Interrupted&) {
    return temper::kInterruptedExitCode;
  } catch (const temper::ReaderGone&) {
    return kReaderGoneExitCode;
  } catch (const temper::Error& e) {
    return fail(e);
  } catch (const c10::Error& e) {
    return fail(internal(e.what_without_backtrace(), "libtorch"));   // our mistake: nothing a user enters may reach its checks
  } catch (const std::bad_alloc&) {
    // Text that needs no memory.
    std::fputs("resource error: out of memory\n  where: the whole program\n  fix:   use smaller inputs, raise the limit (ulimit -v), or use a machine with more memory\n  code:  app/main.cpp\n", stderr);
    return static_cast<int>(temper::ErrorKind::kResource);
  } catch (const std::length_error&) {
    return fail(out_of_memory("out of memory: a list larger than any memory was asked for"));
  } catch (const std::filesystem::filesystem_error& e) {
    return fail(temper::system_error("looking at", e.path1(), e.code().value()));
  } catch (const std::system_error& e) {   // a thread that could not be started, a stream that could not be written
    return fail(temper::Error({.kind = temper::ErrorKind::kResource, .what = e.what(), .where = "", .fix = "raise this user's limits (ulimit -a), or free what the machine is short of"}));
  } catch (const nlohmann::json::exception& e) {   // from a reader that does not say which file
    return fail(temper::Error({.kind = temper::ErrorKind::kData, .what = std::string("a JSON value of another type than is needed: ") + e.what(), .where = "", .fix = "compare the JSON that this command reads with its page in docs/"}));
  } catch (const std::exception& e) {
    return fail(internal(e.what()));
  }
}
