#pragma once
// Finds added tokens (control tokens and the like) in raw text: leftmost first, the longest at each place.

#include <cstdint>
#include <string_view>
#include <vector>

namespace temper {

/// A trie over the contents.  Threads: const methods from any thread.
class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  void add(std::string_view content, int32_t id);  // REQUIRES content not empty
  /// Call once after the last add().
  void freeze();

  struct Match {
    size_t begin, end;
    int32_t id;
  };
  /// The first match that begins at or after `from`; id -1 and begin == text.size() if there is none.
  Match find(std::string_view text, size_t from) const;
  bool empty() const { return nodes_.size() <= 1; }

 private:
  struct Edge {
    uint8_t byte;
    uint32_t target;
  };
  struct Node {
    std::vector<Edge> edges;  // sorted by byte once frozen
    int32_t id = -1;
  };
  const Edge* edge(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_{1};
  bool begins_[256] = {};
};

}  // namespace temper
