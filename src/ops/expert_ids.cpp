#include "ops/expert_ids.h"

#include <fmt/format.h>

#include "base/error.h"

namespace temper {

void check_expert_ids(const Tensor& rows, int64_t n_routed_experts, const ExpertIdsPlace& place) {
  if (rows.is_meta()) return;
  const auto refuse = [&](std::string what, int64_t row, int64_t k) {
    throw Error({.kind = ErrorKind::kCheckpoint,
                 .what = std::move(what),
                 .where = fmt::format("{}{}{}[{}, {}]", place.file, place.file.empty() ? "" : ", ", place.name, place.first_token + row, k),
                 .fix = "load a table whose rows hold distinct expert ids (a freshly initialised transformers model has all zeros)"});
  };
  if (!at::isIntegralType(rows.scalar_type(), /*includeBool=*/false)) refuse(fmt::format("{} is {}, expert ids are I64", place.name, dtype_name(rows.scalar_type())), 0, 0);
  const Tensor table = rows.to(at::kLong).contiguous();
  const int64_t* ids = table.const_data_ptr<int64_t>();
  const int64_t n_rows = table.size(0), K = table.size(1);
  for (int64_t row = 0; row < n_rows; ++row) {
    for (int64_t k = 0; k < K; ++k) {
      const int64_t id = ids[row * K + k], token = place.first_token + row;
      if (id < 0 || id >= n_routed_experts) refuse(fmt::format("{} names expert {} for token {}, experts are 0 to {}", place.name, id, token, n_routed_experts - 1), row, k);
      for (int64_t other = 0; other < k; ++other)
        if (ids[row * K + other] == id) refuse(fmt::format("{} names expert {} twice for token {}", place.name, id, token), row, k);
    }
  }
}

}  // namespace temper
