#pragma once
#include <memory>

#include "eval/suite.h"

namespace temper {

/// IFEval: 541 prompts with 834 verifiable instructions.  Rows: key, instruction_id_list, strict, loose (one truth value an instruction).
std::unique_ptr<Suite> make_ifeval();

}  // namespace temper
