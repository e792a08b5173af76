#pragma once

namespace temper {

/// Keeps some memory back for small allocations that fail: destructors that allocate (those of JSON values do) and handlers of
/// errors then succeed, where an exception would end the program without a word.  A large allocation that fails throws
/// std::bad_alloc at once.  Threads: any.
void install_memory_reserve();

/// Throws std::bad_alloc if some of it was needed, so that work ends before the rest is.  Call it in long loops.
void check_memory();

}  // namespace temper
