#pragma once

namespace temper {

/// Starts libtorch's threads (OMP_NUM_THREADS, else one for each core).  Later it would end the process where the system gives none.
/// Error{kConfig} for more than kMostThreads, also in TEMPER_THREADS; Error{kResource} if they cannot be started.
void start_compute_threads();

}  // namespace temper
