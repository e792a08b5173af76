#pragma once
// Settings that a row of `temper generate` brings along, in the names of chat APIs.

#include "base/json.h"
#include "rollout/engine.h"

namespace temper {

/// Takes max_tokens (also max_new_tokens, max_completion_tokens), temperature, top_p, top_k, stop and seed of the row into the
/// request, over the values of the command line.  null means "not given".
/// Errors  kData with `where` for values out of bounds, and for keys that look like settings which nothing here follows
///         ("presence_penalty", "temprature"), unless they ask for nothing ("n": 1)
void take_row_settings(const Json& row, const std::string& where, Request& request);

}  // namespace temper
