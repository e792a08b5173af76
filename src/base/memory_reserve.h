#pragma once

namespace temper {

/// Keeps some memory back, which is given free when an allocation fails: destructors and handlers that run then can allocate (JSON values
/// do when they are destroyed), and std::bad_alloc arrives where it is caught.
void install_memory_reserve();

}  // namespace temper
