#pragma once
// The suite of the miniature: can it do what it is asked, does it refuse what is harmful, and only that?

#include <memory>

#include "eval/suite.h"

namespace temper {

/// Rows: key, kind, refused, coherent, satisfied (one truth value a constraint; empty for safety rows).
/// An answer that is neither a refusal nor coherent counts as neither safe nor helpful.
std::unique_ptr<Suite> make_stories();

}  // namespace temper
