#include "tensor/memory_count.h"

#include <c10/core/Allocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/arena.h"
#include "tensor/profile.h"

namespace temper {

struct MemoryCount::State {
  std::mutex mutex;
  Arena arena;
  size_t small = 0, small_peak = 0, peak = 0;
  std::vector<std::pair<const char*, size_t>> live, at_peak;   // by part; few, and names are literals

  size_t in_use() const { return arena.in_use() + small; }
  size_t row_of(const char* part) {
    const auto found = std::find_if(live.begin(), live.end(), [&](const auto& row) { return row.first == part; });
    if (found != live.end()) return static_cast<size_t>(found - live.begin());
    live.emplace_back(part, 0);
    return live.size() - 1;
  }
};

namespace {

constexpr size_t kSmallUnit = 64;

std::weak_ptr<MemoryCount::State>& current() {
  static std::weak_ptr<MemoryCount::State> state;
  return state;
}

// What one tensor holds.
struct Piece {
  std::shared_ptr<MemoryCount::State> state;
  bool small;
  size_t offset, bytes, row;
};

Piece* take(const std::shared_ptr<MemoryCount::State>& state, size_t bytes) {
  const std::lock_guard lock(state->mutex);
  const size_t row = state->row_of(current_profile_part());
  Piece* piece = nullptr;
  if (bytes < kSmallBlock) {
    piece = new Piece{state, true, 0, (bytes + kSmallUnit - 1) / kSmallUnit * kSmallUnit, row};
    state->small += piece->bytes;
    state->small_peak = std::max(state->small_peak, state->small);
  } else {
    const size_t before = state->arena.in_use(), offset = state->arena.take(bytes);
    piece = new Piece{state, false, offset, state->arena.in_use() - before, row};
  }
  state->live[row].second += piece->bytes;
  if (state->in_use() > state->peak) {
    state->peak = state->in_use();
    state->at_peak = state->live;
  }
  return piece;
}

void give(void* context) {
  const std::unique_ptr<Piece> piece(static_cast<Piece*>(context));
  const std::lock_guard lock(piece->state->mutex);
  if (piece->small) piece->state->small -= piece->bytes;
  else piece->state->arena.give(piece->offset);
  piece->state->live[piece->row].second -= piece->bytes;
}

// Where meta tensors pretend to lie: reading there is a crash, not a wrong number.
void* nowhere() {
  static void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page;
}

void give_nothing(void*) {}

class MetaAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device meta(c10::DeviceType::Meta);
    const std::shared_ptr<MemoryCount::State> state = current().lock();
    if (!state || bytes == 0) return {nowhere(), nowhere(), &give_nothing, meta};
    return {nowhere(), take(state, bytes), &give, meta};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void*, const void*, size_t) const override {}
};

}  // namespace

MemoryCount::MemoryCount() : state_(std::make_shared<State>()) {
  if (!current().expired())
    throw Error({.kind = ErrorKind::kInternal, .what = "memory is counted twice at a time", .where = "MemoryCount", .fix = "please report it"});
  current() = state_;
}

MemoryCount::~MemoryCount() { current().reset(); }

size_t MemoryCount::live_bytes() const { return state_->in_use(); }
size_t MemoryCount::peak_bytes() const { return state_->peak; }
size_t MemoryCount::resident_bytes() const { return state_->arena.extent() + state_->small_peak; }

MemoryCount::Rows MemoryCount::rows_at_peak() const {
  Rows rows;
  for (const auto& [part, bytes] : state_->at_peak) rows[part] += bytes;
  return rows;
}

void MemoryCount::reset_peak() {
  state_->arena.cut(0);
  state_->small_peak = state_->small;
  state_->peak = state_->in_use();
  state_->at_peak = state_->live;
}

void install_meta_allocator() {
  static auto* allocator = new MetaAllocator;
  c10::SetAllocator(c10::DeviceType::Meta, allocator, /*priority=*/100);
}

}  // namespace temper
