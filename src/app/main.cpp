#include <c10/util/Exception.h>

#include <cstdio>

#include "app/commands.h"
#include "app/version.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "tensor/allocator.h"

namespace {

int run(int argc, char** argv) {
  const temper::Action action = temper::parse_command_line(argc, argv, temper::version_text(), temper::all_commands());
  temper::install_interrupt_handler();
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  temper::install_caching_allocator();
  try {
    return run(argc, argv);
  } catch (const temper::Interrupted&) {
    return temper::kInterruptedExitCode;
  } catch (const temper::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code();
  } catch (const c10::Error& e) {
    // A failed check inside libtorch is our mistake: nothing a user enters may reach it.
    const temper::Error error({.kind = temper::ErrorKind::kInternal, .what = e.what_without_backtrace(), .where = "libtorch", .fix = "please report this"});
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    const temper::Error error({.kind = temper::ErrorKind::kResource, .what = "out of memory", .where = "", .fix = "use smaller inputs or a machine with more memory"});
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& e) {
    const temper::Error error({.kind = temper::ErrorKind::kInternal, .what = e.what(), .where = "", .fix = "please report this"});
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
