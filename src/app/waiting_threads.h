#pragma once
// How libgomp's threads wait between parallel regions.

namespace temper {

/// libgomp lets a waiting thread spin for some milliseconds.  Next to another program on the same core that costs most of the speed, and threads that sleep
/// at once (OMP_WAIT_POLICY=PASSIVE) cost much of it on a quiet machine, since the regions are short.  So they spin for a part of a
/// millisecond and then sleep.  libgomp reads this before main: the program starts itself again.
/// Returns if OMP_WAIT_POLICY or GOMP_SPINCOUNT say what is wanted, or if starting again fails.
void start_with_short_spinning(char** argv);

}  // namespace temper
