#pragma once
// What the system says about this process.

#include <cstdint>

namespace temper {

/// Bytes of memory it holds now, shared code included; and the most it has held.
int64_t resident_bytes();
int64_t peak_resident_bytes();

/// Bytes that could still be taken without swapping: of the machine, and of the control group (v2) that is the root of what this process sees.  The
/// largest number where the system does not say.
int64_t available_bytes();
/// available_bytes() and what this process holds already.
int64_t obtainable_bytes();

/// The last cache before memory; 32 MiB where the system does not say.
int64_t last_cache_bytes();

}  // namespace temper
