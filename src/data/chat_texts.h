#pragma once
// The constant texts of DeepSeek-V4's chat format.  They are data of the format, byte for byte as the model was trained with
// them.  Source: encoding of the DeepSeek-V4 release and its refresh of 31 July (MIT).  Hashes: tests/data/chat_encoding_test.cpp.

#include <string_view>

namespace temper::chat {

/// "max" of the first release, "high" of the refresh.
inline constexpr std::string_view kAbsoluteEffort =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, rigorously "
    "stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered alternative, and "
    "rejected hypothesis to ensure absolutely no assumption is left unchecked.\n\n";

/// "max" of the refresh.
inline constexpr std::string_view kBeyondEffort =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose the problem into "
    "its most fundamental components, trace every causal chain to its root, and resolve the underlying cause rather than any surface "
    "symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles and are certain that no assumption "
    "remains unchecked and no error remains undiscovered.\n\n";

/// Stands before the schemas, one a line.
inline constexpr std::string_view kToolsBegin =
    R"(## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<｜DSML｜tool_calls>" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name="$TOOL_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$TOOL_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

)";
inline constexpr std::string_view kToolsEnd =
    "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n";

/// Stands before the schema.
inline constexpr std::string_view kResponseFormat = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

inline constexpr std::string_view kToolResult = "<tool_result>";
inline constexpr std::string_view kEndToolResult = "</tool_result>";

// Tool calls in "DSML": the opening tags are also what the parser looks for.
inline constexpr std::string_view kDsmlCalls = "\n\n<｜DSML｜tool_calls";
inline constexpr std::string_view kDsmlInvoke = "<｜DSML｜invoke";
inline constexpr std::string_view kDsmlParameter = "<｜DSML｜parameter";
inline constexpr std::string_view kDsmlEndParameter = "/｜DSML｜parameter";
inline constexpr std::string_view kDsmlEndInvoke = "</｜DSML｜invoke";
inline constexpr std::string_view kDsmlEndCalls = "</｜DSML｜tool_calls>";

}  // namespace temper::chat
