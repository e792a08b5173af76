#include "train/run_record.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/disk_limit.h"
#include "support/expect_error.h"
#include "support/json_lines.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::DiskLimit;
using test::TempFolder;

std::vector<int64_t> steps_of(const std::string& jsonl) {
  std::vector<int64_t> steps;
  for (const Json& row : test::json_lines(jsonl, "lines")) steps.push_back(row.at("step").get<int64_t>());
  return steps;
}

TEST(RunRecord, AResumedRunDropsTheMetricsOfStepsThatAreDoneAgain) {
  const TempFolder folder;
  {
    RunRecord record(folder.path());
    record.start_at(0);
    for (int64_t step = 1; step <= 9; ++step) record.metrics(step, {{"train/loss", 1.0 / static_cast<double>(step)}});
  }
  write_file_atomic(folder / "metrics.jsonl", read_file(folder / "metrics.jsonl") + "{\"step\":10,\"train/lo");   // as a kill leaves it
  RunRecord record(folder.path());
  record.start_at(4);
  record.metrics(5, {{"train/loss", 0.5}});
  EXPECT_EQ(steps_of(read_file(folder / "metrics.jsonl")), (std::vector<int64_t>{1, 2, 3, 4, 5}));
}

TEST(RunRecord, ValuesThatJsonCannotHoldAreNull) {
  const TempFolder folder;
  RunRecord record(folder.path());
  record.start_at(0);
  record.metrics(1, {{"a", std::nan("")}, {"b", HUGE_VAL}, {"c", 0.1}});
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1,\"a\":null,\"b\":null,\"c\":0.1}\n");
}

TEST(RunRecord, EventsAreNeverDropped) {
  const TempFolder folder;
  for (int i = 0; i < 2; ++i) {
    RunRecord record(folder.path());
    record.start_at(0);
    record.event(i ? "resume" : "start", i, {{"cause", "test"}});
  }
  const std::string text = read_file(folder / "events.jsonl");
  EXPECT_EQ(steps_of(text), (std::vector<int64_t>{0, 1}));
  EXPECT_NE(text.find("\"event\":\"resume\",\"step\":1,\"cause\":\"test\""), std::string::npos) << text;
}

TEST(RunRecord, WholeLinesAreLeftByAFullDiskAndAKill) {
  const TempFolder folder;
  const fs::path events = folder / "events.jsonl";
  {
    RunRecord record(folder.path());
    record.event("start", 0);
    const DiskLimit limit(fs::file_size(events) + 10);
    EXPECT_ERROR(record.event("checkpoint", 1), ErrorKind::kResource, "events.jsonl");
  }
  EXPECT_EQ(steps_of(read_file(events)), (std::vector<int64_t>{0}));
  write_file_atomic(events, read_file(events) + "{\"time\":\"20");   // as a kill leaves it
  RunRecord record(folder.path());
  record.event("resume", 1);
  EXPECT_EQ(steps_of(read_file(events)), (std::vector<int64_t>{0, 1}));
}

TEST(RunRecord, KnowsWhichMetricsAStepHas) {
  const TempFolder folder;
  RunRecord record(folder.path());
  record.start_at(-1);
  record.metrics(1, {{"a", 0.5}});
  record.metrics(2, {{"a", 0.5}});
  record.metrics(2, {{"b", 0.5}});
  EXPECT_TRUE(record.has_metric(2, "b"));
  EXPECT_FALSE(record.has_metric(1, "b"));
  EXPECT_FALSE(record.has_metric(3, "a"));
}

TEST(RunRecord, AFolderServesOneProcessAtATime) {
  const TempFolder folder;
  const RunRecord first(folder.path());
  EXPECT_ERROR(RunRecord second(folder.path()), ErrorKind::kResource, "another process");
}

TEST(RunRecord, AFullDiskIsAResourceError) {
  const TempFolder folder;
  fs::create_symlink("/dev/full", folder / "events.jsonl");   // every write to it fails with ENOSPC
  RunRecord record(folder.path());
  EXPECT_ERROR(record.event("start", 0), ErrorKind::kResource, "events.jsonl");
}

TEST(RunRecord, TheEnvironmentNamesWhatDecidesTheBits) {
  const Json environment = describe_environment();
  for (const char* key : {"temper", "commit", "torch", "device", "isa", "threads", "memory_bytes", "host"}) EXPECT_TRUE(environment.contains(key)) << key;
}

}  // namespace
}  // namespace temper
