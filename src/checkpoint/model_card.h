#pragma once
// README.md of an exported model: the user's own text, with sections of ours that later exports replace.

#include <optional>
#include <string>

namespace temper {

/// The card with the section `name` replaced by `text`, or appended, or removed where `text` is empty.  `card`: what there is;
/// without one, a new card with a title.  Sections of ours are between HTML comments, so that nothing of the user's is touched.
std::string card_with_section(const std::optional<std::string>& card, const std::string& name, const std::string& text);

}  // namespace temper
