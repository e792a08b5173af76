#include "base/version.h"

#include "commit.h"   // written at every build by cmake/commit.cmake

namespace temper {

std::string program_commit() { return TEMPER_COMMIT; }

}  // namespace temper
