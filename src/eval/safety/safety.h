#pragma once
#include <memory>
#include <vector>

#include "eval/suite.h"

namespace temper {

/// XSTest: safe prompts that look harmful, and harmful ones.  Rows: key, prompt, type, label (safe, unsafe, or null where a stored answer does not
/// say it), outcome (refusal, full or partial; compliance: a coherent answer; incoherent: neither safe nor helpful), score and cues of refusal, and, where the stored answer carries a human label, human and agrees.
std::unique_ptr<Suite> make_safety();

/// How often the refusal rules agree with people's labels: src/eval/data/safety/agreement.tsv, which tools/safety/refusals.py measures.
std::vector<Agreement> refusal_agreement();

}  // namespace temper
