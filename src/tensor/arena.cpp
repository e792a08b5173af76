#include "tensor/arena.h"

#include <algorithm>
#include <iterator>

namespace temper {

void Arena::prepare_node() {
  if (spare_.size() > used_.size()) return;
  if (spare_.capacity() <= n_nodes_) spare_.reserve(2 * (n_nodes_ + 1));   // room for all of them
  std::map<size_t, size_t> range{{0, 0}};
  std::set<std::pair<size_t, size_t>> size{{0, 0}};
  spare_.push_back({range.extract(range.begin()), size.extract(size.begin())});
  ++n_nodes_;
}

void Arena::add_free(size_t offset, size_t bytes) {
  Node node = std::move(spare_.back());
  spare_.pop_back();
  node.range.key() = offset;
  node.range.mapped() = bytes;
  node.size.value() = {bytes, offset};
  free_.insert(std::move(node.range));
  free_by_size_.insert(std::move(node.size));
}

void Arena::remove_free(std::map<size_t, size_t>::iterator range) {
  auto size = free_by_size_.extract({range->second, range->first});
  spare_.push_back({free_.extract(range), std::move(size)});
}

size_t Arena::take(size_t bytes) {
  const size_t size = (std::max<size_t>(bytes, 1) + kGranule - 1) / kGranule * kGranule;
  const auto fit = free_by_size_.lower_bound({size, 0});
  const bool fits = fit != free_by_size_.end();
  const auto last = free_.empty() ? free_.end() : std::prev(free_.end());
  const bool last_grows = !fits && last != free_.end() && last->first + last->second == extent_;   // too small, but it can grow
  const size_t found = fits ? fit->first : 0, offset = fits ? fit->second : last_grows ? last->first : extent_;
  prepare_node();
  used_.emplace(offset, size);   // from here on nothing needs memory
  if (fits) {
    remove_free(free_.find(offset));
    if (found > size) add_free(offset + size, found - size);
  } else if (last_grows) {
    remove_free(last);
  }
  extent_ = std::max(extent_, offset + size);
  in_use_ += size;
  return offset;
}

size_t Arena::give(size_t offset) {
  const auto found = used_.find(offset);
  const size_t size = found->second;
  used_.erase(found);
  in_use_ -= size;
  size_t begin = offset, end = offset + size;
  const auto after = free_.lower_bound(offset);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      begin = before->first;
      remove_free(before);
    }
  }
  if (after != free_.end() && after->first == end) {
    end += after->second;
    remove_free(after);
  }
  add_free(begin, end - begin);
  return size;
}

void Arena::cut(size_t extent) {
  if (extent >= extent_ || free_.empty()) return;
  const auto last = std::prev(free_.end());
  const auto [offset, bytes] = *last;
  if (offset + bytes < extent_) return;   // the highest block is in use
  remove_free(last);
  extent_ = std::max(offset, extent);
  if (extent_ > offset) add_free(offset, extent_ - offset);
}

void Arena::for_each_free(const std::function<void(size_t offset, size_t bytes)>& visit) const {
  for (const auto& [offset, bytes] : free_) visit(offset, bytes);
}

}  // namespace temper
