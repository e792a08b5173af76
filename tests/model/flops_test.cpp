// The tables of docs/deepseek_v4.md, which were computed by a separate script and checked by brute force there.
#include "model/deepseek_v4/flops.h"

#include <gtest/gtest.h>

#include <map>

#include "model/deepseek_v4/parameter_table.h"
#include "test_places.h"

namespace temper {
namespace {

ModelConfig released(const std::string& name) { return read_model_config(fs::path(TEMPER_SOURCE_DIR) / "configs/model" / ("deepseek_v4_" + name + ".json")); }

constexpr int64_t kLengths[4] = {4096, 32768, 131072, 1048576};
using Four = std::array<double, 4>;

void expect_entries(const std::string& model, Four csa_selected) {
  constexpr Four window = {126.0, 127.8, 127.9, 128.0}, csa_visible = {511.8, 4095.8, 16383.8, 131071.8}, hca = {15.5, 127.5, 511.5, 4095.5};
  for (size_t i = 0; i < 4; ++i) {
    const AttendedEntries entries = attended_entries(released(model), {kLengths[i]});
    EXPECT_NEAR(entries.window, window[i], 0.051);
    EXPECT_NEAR(entries.csa_visible, csa_visible[i], 0.051);
    EXPECT_NEAR(entries.csa_selected, csa_selected[i], 0.051);
    EXPECT_NEAR(entries.hca, hca[i], 0.051);
  }
}

TEST(Flops, AttendedEntriesAreThoseOfTheTable) {
  expect_entries("flash", {383.9, 496.0, 508.0, 511.5});
  expect_entries("pro", {511.8, 960.0, 1008.0, 1022.0});
}

// Token by token, for lengths around every border and for packed documents.
TEST(Flops, AttendedEntriesAreWhatCountingGives) {
  ModelConfig config = released("flash");
  config.sliding_window = 5;
  config.index_top_k = 3;
  for (const std::vector<int64_t>& documents : std::vector<std::vector<int64_t>>{{1}, {4}, {5}, {11}, {12}, {13}, {127}, {300}, {1, 300, 17, 128}}) {
    double window = 0, visible = 0, selected = 0, hca = 0, n = 0;
    for (const int64_t S : documents)
      for (int64_t t = 0; t < S; ++t, ++n) {
        window += static_cast<double>(std::min<int64_t>(t + 1, 5));
        visible += static_cast<double>((t + 1) / 4);
        selected += static_cast<double>(std::min<int64_t>((t + 1) / 4, 3));
        hca += static_cast<double>((t + 1) / 128);
      }
    const AttendedEntries entries = attended_entries(config, documents);
    EXPECT_DOUBLE_EQ(entries.window, window / n);
    EXPECT_DOUBLE_EQ(entries.csa_visible, visible / n);
    EXPECT_DOUBLE_EQ(entries.csa_selected, selected / n);
    EXPECT_DOUBLE_EQ(entries.hca, hca / n);
  }
}

void expect_forward(const std::string& model, const std::map<std::string, Four>& table, Four totals) {
  for (size_t i = 0; i < 4; ++i) {
    const FlopsPerToken flops = flops_per_token(released(model), {kLengths[i]});
    ASSERT_EQ(flops.components.size(), table.size());
    for (const FlopsComponent& component : flops.components) EXPECT_NEAR(component.forward / 1e9, table.at(component.name)[i], 0.00051) << component.name << " " << kLengths[i];
    EXPECT_NEAR(flops.forward / 1e9, totals[i], 0.0051);
  }
}

TEST(Flops, ForwardComponentsAreThoseOfTheTable) {
  expect_forward("flash",
                 {{"attention projections", {9.198, 9.198, 9.198, 9.198}}, {"compressors", {0.520, 0.520, 0.520, 0.520}},
                  {"indexer projections", {0.451, 0.451, 0.451, 0.451}},   {"indexer scores", {0.176, 1.409, 5.637, 45.097}},
                  {"attention core: window", {0.710, 0.720, 0.721, 0.721}}, {"attention core: CSA", {1.057, 1.365, 1.398, 1.408}},
                  {"attention core: HCA", {0.041, 0.334, 1.341, 10.736}},  {"routed experts", {12.986, 12.986, 12.986, 12.986}},
                  {"shared experts", {2.164, 2.164, 2.164, 2.164}},        {"routers", {0.090, 0.090, 0.090, 0.090}},
                  {"hyper-connections", {0.068, 0.068, 0.068, 0.068}},     {"LM head", {1.059, 1.059, 1.059, 1.059}},
                  {"MTP with its head", {1.813, 1.814, 1.814, 1.814}}},
                 {30.33, 32.18, 37.45, 86.31});
  expect_forward("pro",
                 {{"attention projections", {36.587, 36.587, 36.587, 36.587}}, {"compressors", {1.336, 1.336, 1.336, 1.336}},
                  {"indexer projections", {1.003, 1.003, 1.003, 1.003}},       {"indexer scores", {0.252, 2.013, 8.053, 64.424}},
                  {"attention core: window", {2.015, 2.043, 2.046, 2.047}},    {"attention core: CSA", {4.025, 7.550, 7.927, 8.037}},
                  {"attention core: HCA", {0.126, 1.036, 4.157, 33.282}},      {"routed experts", {48.356, 48.356, 48.356, 48.356}},
                  {"shared experts", {8.059, 8.059, 8.059, 8.059}},            {"routers", {0.336, 0.336, 0.336, 0.336}},
                  {"hyper-connections", {0.168, 0.168, 0.168, 0.168}},         {"LM head", {1.853, 1.853, 1.853, 1.853}},
                  {"MTP with its head", {3.933, 3.934, 3.934, 3.934}}},
                 {108.05, 114.27, 123.81, 209.42});
}

void expect_training(const std::string& model, const FlopsOptions& options, Four totals) {
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(flops_per_token(released(model), {kLengths[i]}, options).training / 1e9, totals[i], 0.0051) << model << " " << kLengths[i];
}

TEST(Flops, TrainingTotalsAreThoseOfTheTable) {
  expect_training("flash", {}, {90.46, 93.61, 100.97, 168.64});
  expect_training("flash", {.indexer_trained = false}, {89.75, 92.81, 100.17, 167.84});
  expect_training("flash", {.mtp = false}, {85.02, 88.17, 95.53, 163.20});
  expect_training("flash", {.mtp = false, .indexer_trained = false}, {84.31, 87.37, 94.72, 162.40});
  expect_training("pro", {}, {323.14, 338.74, 355.33, 499.42});
  expect_training("pro", {.indexer_trained = false}, {321.64, 336.79, 353.33, 497.41});
  expect_training("pro", {.mtp = false}, {311.34, 326.93, 343.53, 487.62});
  expect_training("pro", {.mtp = false, .indexer_trained = false}, {309.84, 324.99, 341.53, 485.61});
}

TEST(Flops, DenseAttentionCostsWhatTheTableSays) {
  constexpr Four flash = {1.41, 11.27, 45.1, 360.8}, pro = {4.02, 32.2, 128.9, 1030.8};
  for (size_t i = 0; i < 4; ++i)
    for (const auto& [model, expected] : {std::pair<const char*, Four>{"flash", flash}, {"pro", pro}})
      for (const FlopsComponent& component : flops_per_token(released(model), {kLengths[i]}, {.dense_attention = true}).components)
        if (component.name == "attention core: CSA") {
          EXPECT_NEAR(component.forward / 1e9, expected[i], 0.06);   // the table has one digit, some rounded up
        }
}

void expect_parameters(const std::string& model, const std::vector<int64_t>& by_class, int64_t n_main, int64_t n_mtp) {
  const ParameterTable table = parameter_table(released(model));
  std::vector<int64_t> found;
  for (const auto& row : table.main) found.push_back(row.n);
  EXPECT_EQ(found, by_class);
  EXPECT_EQ(table.n_main, n_main);
  EXPECT_EQ(table.n_mtp, n_mtp);
}

// Embedding, head, final, attention, compressors, indexers, routed, shared, routers, hyper-connections, block norms.
TEST(ParameterTable, IsTheTableOfTheReleases) {
  expect_parameters("flash", {529530880, 529530880, 69637, 4599123136, 261464576, 225730176, 277025390592, 1082130432, 45099008, 33818898, 352256}, 284332240471, 6610048891);
  expect_parameters("pro", {926679040, 926679040, 121861, 18293589632, 670128640, 501384960, 1547396186112, 4029677568, 167925504, 83954910, 874496}, 1572997201763, 25840145979);
}

TEST(ParameterTable, CountsWhatATokenActivates) {
  const ParameterTable flash = parameter_table(released("flash")), pro = parameter_table(released("pro"));
  const auto billions = [](int64_t n) { return static_cast<double>(n) / 1e9; };
  EXPECT_NEAR(billions(flash.active), 13.800, 0.0005);
  EXPECT_NEAR(billions(flash.active_without_embedding), 13.270, 0.0005);
  EXPECT_NEAR(billions(flash.active_with_mtp), 14.118, 0.0005);
  EXPECT_NEAR(billions(pro.active), 49.779, 0.0005);
  EXPECT_NEAR(billions(pro.active_without_embedding), 48.852, 0.0005);
  EXPECT_NEAR(billions(pro.active_with_mtp), 50.648, 0.0005);
}

}  // namespace
}  // namespace temper
