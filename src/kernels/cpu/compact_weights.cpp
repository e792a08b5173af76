#include "kernels/compact_weights.h"

#include <ATen/ops/empty.h>

#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "kernels/cpu/isa/compact.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kSampled = 4096;     // values that say which scales are frequent
constexpr int64_t kListedShare = 64;   // more than one of so many values in the list would cost what the nibbles save

thread_local const CompactWeights* in_use = nullptr;

int best_first_scale(const uint16_t* values, int64_t n) {
  std::array<int64_t, 128> count{};
  const int64_t stride = (n / kSampled) | 1;   // odd: meets every column
  for (int64_t i = 0; i < n; i += stride) ++count[values[i] >> 8 & 0x7f];
  int best = 1;
  int64_t most = -1;
  for (int first = 1; first <= CompactMatrix::kMostScale; ++first) {
    int64_t covered = 0;
    for (int scale = 0; scale < CompactMatrix::kScales; ++scale) covered += count[static_cast<size_t>(first + scale)];
    if (covered > most) most = covered, best = first;
  }
  return best;
}

}  // namespace

struct CompactWeights::Entry {
  CompactMatrix matrix;
  Tensor tiles, list_begin, list;
};

CompactWeights::CompactWeights() = default;
CompactWeights::~CompactWeights() = default;
CompactWeights::CompactWeights(CompactWeights&&) noexcept = default;
CompactWeights& CompactWeights::operator=(CompactWeights&&) noexcept = default;

bool CompactWeights::pays() { return isa() == Isa::kAvx512 || isa() == Isa::kAvx512Bf16; }

bool CompactWeights::add(const Tensor& weight) {
  using M = CompactMatrix;
  if (!weight.is_cpu() || weight.scalar_type() != at::kBFloat16 || weight.dim() < 2 || !weight.is_contiguous() || weight.numel() == 0) return false;
  const int64_t k = weight.size(-1), n_rows = weight.numel() / k, n_tiles = n_rows / M::kRows;
  if (k % M::kColumnsUnit != 0 || weight.size(-2) % M::kRows != 0) return false;
  const uint16_t* const values = static_cast<const uint16_t*>(weight.const_data_ptr());
  const int64_t most_listed = weight.numel() / kListedShare;

  auto entry = std::make_unique<Entry>(Entry{.matrix = {.k = k}, .tiles = at::empty({n_rows * k * 3 / 2}, at::kByte), .list_begin = at::empty({n_tiles}, at::kInt),
                                             .list = at::empty({most_listed}, at::kShort)});
  M& m = entry->matrix;
  m.first_scale = best_first_scale(values, weight.numel());
  uint8_t* const tiles = entry->tiles.mutable_data_ptr<uint8_t>();
  uint32_t* const list_begin = static_cast<uint32_t*>(entry->list_begin.data_ptr());
  uint16_t* const list = static_cast<uint16_t*>(entry->list.data_ptr());
  std::atomic<bool> fits{true};
  parallel_parts(n_tiles, 1, [&](int64_t, int64_t begin, int64_t end) {
    std::vector<uint16_t> listed(static_cast<size_t>(M::kRows * k));
    int64_t next = most_listed * begin / n_tiles;   // each part has its own share of the list
    const int64_t list_end = most_listed * end / n_tiles;
    for (int64_t tile = begin; tile < end && fits.load(std::memory_order_relaxed); ++tile) {
      CompactTile work{.rows = values + tile * M::kRows * k, .k = k, .first_scale = m.first_scale, .tile = tiles + tile * m.tile_bytes(), .list = listed.data(), .n_listed = 0};
      TEMPER_ISA_PICK(make_compact_tile)(work);
      if (next + work.n_listed > list_end) {
        fits = false;
        break;
      }
      std::memcpy(list + next, listed.data(), static_cast<size_t>(work.n_listed) * sizeof(uint16_t));
      list_begin[tile] = static_cast<uint32_t>(next);
      next += work.n_listed;
    }
  });
  if (!fits) return false;
  m.tiles = tiles, m.list_begin = list_begin, m.list = list;
  const Place place{.begin = static_cast<const char*>(weight.const_data_ptr()), .bytes = weight.nbytes(), .matrix = &m};
  places_.insert(std::upper_bound(places_.begin(), places_.end(), place.begin, [](const char* address, const Place& other) { return address < other.begin; }), place);
  entries_.push_back(std::move(entry));
  return true;
}

int64_t CompactWeights::bytes() const {
  size_t sum = 0;
  for (const auto& entry : entries_) sum += entry->tiles.nbytes() + entry->list_begin.nbytes() + entry->list.nbytes();
  return static_cast<int64_t>(sum);
}

CompactWeights::Rows CompactWeights::find_in_use(const void* data, int64_t k) {
  if (!in_use) return {};
  const char* const at = static_cast<const char*>(data);
  const auto after = std::upper_bound(in_use->places_.begin(), in_use->places_.end(), at, [](const char* address, const Place& place) { return address < place.begin; });
  if (after == in_use->places_.begin()) return {};
  const Place& place = after[-1];
  const size_t offset = static_cast<size_t>(at - place.begin), row_bytes = static_cast<size_t>(k) * sizeof(uint16_t);
  if (place.matrix->k != k || offset >= place.bytes || offset % (row_bytes * CompactMatrix::kRows) != 0) return {};
  return {place.matrix, static_cast<int64_t>(offset / row_bytes)};
}

CompactWeights::InUse::InUse(const CompactWeights& weights) : previous_(std::exchange(in_use, &weights)) {}
CompactWeights::InUse::~InUse() { in_use = previous_; }

}  // namespace temper
