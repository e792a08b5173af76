#include "data/added_tokens.h"

#include <algorithm>

namespace temper {

const AddedTokenMatcher::Edge* AddedTokenMatcher::edge(uint32_t node, uint8_t byte) const {
  const std::vector<Edge>& edges = nodes_[node].edges;
  const auto found = std::lower_bound(edges.begin(), edges.end(), byte, [](const Edge& e, uint8_t b) { return e.byte < b; });
  return found != edges.end() && found->byte == byte ? &*found : nullptr;
}

void AddedTokenMatcher::add(std::string_view content, int32_t id) {
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<uint8_t>(c);
    std::vector<Edge>& edges = nodes_[node].edges;
    const auto found = std::find_if(edges.begin(), edges.end(), [&](const Edge& e) { return e.byte == byte; });
    if (found != edges.end()) {
      node = found->target;
      continue;
    }
    const auto fresh = static_cast<uint32_t>(nodes_.size());
    edges.push_back({byte, fresh});
    nodes_.emplace_back();
    node = fresh;
  }
  nodes_[node].id = id;
}

void AddedTokenMatcher::freeze() {
  for (Node& node : nodes_) std::sort(node.edges.begin(), node.edges.end(), [](const Edge& a, const Edge& b) { return a.byte < b.byte; });
  for (const Edge& e : nodes_[0].edges) begins_[e.byte] = true;
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<uint8_t>(text[begin])]) continue;
    Match longest{begin, begin, -1};
    uint32_t node = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      const Edge* next = edge(node, static_cast<uint8_t>(text[at]));
      if (!next) break;
      node = next->target;
      if (nodes_[node].id >= 0) longest = {begin, at + 1, nodes_[node].id};
    }
    if (longest.id >= 0) return longest;
  }
  return {text.size(), text.size(), -1};
}

}  // namespace temper
