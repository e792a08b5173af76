#include "tensor/arena.h"

#include <algorithm>
#include <iterator>

namespace temper {

void Arena::add_free(size_t offset, size_t bytes) {
  free_.emplace(offset, bytes);
  free_by_size_.emplace(bytes, offset);
}

void Arena::remove_free(std::map<size_t, size_t>::iterator range) {
  free_by_size_.erase({range->second, range->first});
  free_.erase(range);
}

size_t Arena::take(size_t bytes) {
  const size_t size = (std::max<size_t>(bytes, 1) + kGranule - 1) / kGranule * kGranule;
  size_t offset = extent_;
  if (const auto fit = free_by_size_.lower_bound({size, 0}); fit != free_by_size_.end()) {
    const size_t found = fit->first;
    offset = fit->second;
    remove_free(free_.find(offset));
    if (found > size) add_free(offset + size, found - size);
  } else if (!free_.empty() && std::prev(free_.end())->first + std::prev(free_.end())->second == extent_) {
    const auto last = std::prev(free_.end());   // too small, but it can grow
    offset = last->first;
    remove_free(last);
  }
  extent_ = std::max(extent_, offset + size);
  used_[offset] = size;
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
