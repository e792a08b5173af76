#pragma once
// What the system says about this process.

#include <cstdint>

namespace temper {

/// Bytes of memory it holds now, shared code included; and the most it has held.
int64_t resident_bytes();
int64_t peak_resident_bytes();

/// The last cache before memory; 32 MiB where the system does not say.
int64_t last_cache_bytes();

}  // namespace temper
