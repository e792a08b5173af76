// Batches of a loader one after another, over the border of an epoch of 300,000 samples: the slowest shows what a step waits for
// packing.  Between batches 0.1 ms pass, less than any step.        ./dev bench data_loader

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/rng.h"
#include "data/data_loader.h"

int main() {
  using namespace temper;
  const RandomStream random(1, "samples");
  const auto store = std::make_shared<SampleStore>();
  for (uint64_t i = 0; i < 300000; ++i) {
    const size_t length = 2 + random.below(i, 400);
    store->add({.ids = std::vector<int32_t>(length, 1), .weights = std::vector<float>(length, 1.0f)}, 0);
  }
  DataConfig config;
  config.sequence_length = 512;
  config.micro_batch = 8;
  config.epochs = 2;
  config.sources.resize(1);
  const DataLoader loader(store, config);
  std::vector<double> seconds;
  for (int64_t step = 0, n = loader.n_steps(); step < n; ++step) {
    const auto start = std::chrono::steady_clock::now();
    loader.batch_at(step);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  const double first = seconds.front();
  std::sort(seconds.begin() + 1, seconds.end());
  fmt::print("{} batches: first {:.2f} ms, then median {:.3f} ms, slowest {:.2f} ms\n", seconds.size(), 1e3 * first, 1e3 * seconds[seconds.size() / 2], 1e3 * seconds.back());
}
