#pragma once
// What the model wrote -> an assistant message.  The strict parser is for rewards and format checks, the tolerant one for serving.

#include <string>
#include <string_view>
#include <vector>

#include "data/conversation.h"

namespace temper {

/// Reads one finished answer (text behind <think> or </think>, up to and with EOS).
/// Grammar  thinking mode: reasoning </think> content [calls] EOS; chat mode: content [calls] EOS.  Calls as they are rendered;
///          a call without arguments may have one or no empty line.  Values with string="true" are raw text.
/// Errors   Error{kData}, one sentence for each defect: no </think>, no EOS, text behind EOS, a damaged block of calls, the
///          same parameter twice, string="false" on something that is not JSON, a control token inside a text.
ChatMessage parse_answer(std::string_view text, bool thinking);

/// The best reading of any text, and what was wrong with it.  Without defects it equals parse_answer.
/// Text without </think> in thinking mode is reasoning; text behind EOS is left out; a block of calls that cannot be read is
/// kept as content; a value that is not JSON becomes a string.
struct TolerantAnswer {
  ChatMessage message;
  std::vector<std::string> defects;  // empty: the strict parser accepts the text
};
TolerantAnswer parse_answer_tolerantly(std::string_view text, bool thinking);

}  // namespace temper
