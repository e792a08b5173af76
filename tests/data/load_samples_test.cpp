#include "data/load_samples.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;

/// One token a byte; of conversations, the assistants' bytes are trained.
std::vector<EncodedSample> encode_bytes(const TrainingRow& row) {
  EncodedSample sample;
  const auto add = [&](const std::string& text, float weight) {
    for (const char c : text) {
      sample.ids.push_back(static_cast<unsigned char>(c));
      sample.weights.push_back(weight);
    }
  };
  if (row.is_text) add(row.text, 1);
  for (const Json& message : row.messages) add(message["content"].get<std::string>(), message["role"] == "assistant");
  return {sample};
}

DataConfig config_of(std::vector<std::string> paths) {
  DataConfig config;
  config.sequence_length = 16;
  for (std::string& path : paths) {
    config.sources.emplace_back();
    config.sources.back().path = std::move(path);
  }
  return config;
}

std::string texts_of(const SampleStore& store) {
  std::string all;
  for (int64_t i = 0; i < store.size(); ++i) {
    all += i ? "|" : "";
    for (const int32_t id : store.ids(i)) all += static_cast<char>(id);
  }
  return all;
}

TEST(LoadSamples, ReadsRowsInOrderWhateverTheNumberOfThreads) {
  TempFolder folder;
  std::string rows;
  for (int i = 0; i < 5000; ++i) rows += R"({"text":"row )" + std::to_string(i) + "\"}\n";
  write_file_atomic(folder / "a.jsonl", rows);
  DataConfig config = config_of({"a.jsonl"});
  config.held_out_fraction = 0.2;
  const LoadedData one = load_samples(config, folder.path(), encode_bytes, 1), four = load_samples(config, folder.path(), encode_bytes, 4);
  EXPECT_EQ(one.train->digest(), four.train->digest());
  EXPECT_EQ(one.held_out->digest(), four.held_out->digest());
  EXPECT_EQ(one.train->size() + one.held_out->size(), 5000);
  EXPECT_NEAR(static_cast<double>(one.held_out->size()), 1000.0, 100.0);   // binomial: standard deviation 28
  EXPECT_TRUE(texts_of(*one.train).starts_with(one.train->ids(0)[4] == '0' ? "row 0" : "row "));
}

TEST(LoadSamples, HoldsOutEqualRowsTogether) {
  TempFolder folder;
  std::string rows;
  for (int i = 0; i < 400; ++i) rows += R"({"text":"row )" + std::to_string(i % 10) + "\"}\n";
  write_file_atomic(folder / "a.jsonl", rows);
  DataConfig config = config_of({"a.jsonl"});
  config.held_out_fraction = 0.5;
  const LoadedData data = load_samples(config, folder.path(), encode_bytes, 1);
  EXPECT_EQ(data.held_out->size() % 40, 0);
  EXPECT_GT(data.held_out->size(), 0);
}

TEST(LoadSamples, StopsAtABadRowWithFileAndLine) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "{\"text\":\"good\"}\n\n{\"text\":\"\"}\n");
  EXPECT_ERROR(load_samples(config_of({"a.jsonl"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "a.jsonl:3");
  EXPECT_ERROR(load_samples(config_of({"a.jsonl"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "\"text\" is empty");
}

TEST(LoadSamples, SkipsBadRowsOnlyWhenToldAndRecordsThem) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl",
                    "{\"text\":\"good\"}\n{\"text\":\"\"}\nnot json\n{\"text\":\"\xff\"}\n{\"messages\":[]}\n{\"text\":\"fine\"}\n{\"text\":\"x\"}\n");
  DataConfig config = config_of({"a.jsonl"});
  config.on_bad_row = "skip";
  const LoadedData data = load_samples(config, folder.path(), encode_bytes, 2);
  EXPECT_EQ(texts_of(*data.train), "good|fine");
  const Json event = data.report.to_json();
  EXPECT_EQ(event["sources"][0]["rows"], 7);
  EXPECT_EQ(event["sources"][0]["bad_rows_skipped"], 5);
  EXPECT_EQ(event["sources"][0]["examples"][0], "a.jsonl:2: \"text\" is empty");
  EXPECT_EQ(event["sources"][0]["examples"][1], "a.jsonl:3: not valid JSON at byte 1");
  EXPECT_EQ(event["sources"][0]["examples"][4], "a.jsonl:7: no token of it would be trained");
}

TEST(LoadSamples, RefusesMixedFormatsInOneFile) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "{\"text\":\"good\"}\n{\"instruction\":\"a\",\"output\":\"b\"}\n");
  EXPECT_ERROR(load_samples(config_of({"a.jsonl"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "this row is alpaca, the file began as text");
}

/// A list is read as the same rows in lines are, whatever the policy for bad rows.
TEST(LoadSamples, ReadsADataSetThatIsOneJsonList) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
  write_file_atomic(folder / "a.json", "[\n  {\n    \"text\": \"one\"\n  },\n  {\"text\": \"two\"}\n]\n");
  for (const char* policy : {"stop", "skip"}) {
    DataConfig lines = config_of({"a.jsonl"}), list = config_of({"a.json"});
    lines.on_bad_row = list.on_bad_row = policy;
    EXPECT_EQ(load_samples(list, folder.path(), encode_bytes, 1).train->digest(), load_samples(lines, folder.path(), encode_bytes, 1).train->digest());
  }
}

TEST(LoadSamples, NamesTheRowOfAListAndRefusesRowsThatAreLists) {
  TempFolder folder;
  write_file_atomic(folder / "a.json", R"([{"text":"one"},{"text":""},[{"text":"two"}]])");
  EXPECT_ERROR(load_samples(config_of({"a.json"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "a.json:1, row 2");
  DataConfig config = config_of({"a.json"});
  config.on_bad_row = "skip";
  const LoadedData data = load_samples(config, folder.path(), encode_bytes, 1);
  EXPECT_EQ(data.report.sources[0].n_bad, 2);
  EXPECT_EQ(data.report.sources[0].examples[1], "a.json:1, row 3: the row is array, an object is needed");
  write_file_atomic(folder / "b.jsonl", "[{\"text\":\"one\"}]\n[{\"text\":\"two\"}]\n");
  config.sources[0].path = "b.jsonl";
  EXPECT_ERROR(load_samples(config, folder.path(), encode_bytes, 1), ErrorKind::kData, "several lists, or rows that are lists");
}

TEST(LoadSamples, ReadsAFolderAndAPatternAsOneSource) {
  TempFolder folder;
  fs::create_directories(folder / "data/more");
  write_file_atomic(folder / "data/b.jsonl", "{\"text\":\"b1\"}\n{\"text\":\"b2\"}\n");
  write_file_atomic(folder / "data/a.json", "[{\"text\":\"a1\"}]");
  write_file_atomic(folder / "data/more/c.txt", "c1\n");
  write_file_atomic(folder / "data/README.md", "# nothing");
  const LoadedData all = load_samples(config_of({"data"}), folder.path(), encode_bytes, 1);
  EXPECT_EQ(texts_of(*all.train), "a1|b1|b2|c1");
  ASSERT_EQ(all.report.sources.size(), 3u);
  EXPECT_EQ(all.report.sources[2].path, "data/more/c.txt");
  for (int64_t i = 0; i < all.train->size(); ++i) EXPECT_EQ(all.train->source(i), 0);   // one weight for all of them
  EXPECT_EQ(texts_of(*load_samples(config_of({"data/*.json*"}), folder.path(), encode_bytes, 1).train), "a1|b1|b2");
  EXPECT_ERROR(load_samples(config_of({"data/*.parquet"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "no file matches the pattern");
}

TEST(LoadSamples, SplitsLongDocumentsSoThatEveryTargetIsTrainedOnce) {
  TempFolder folder;
  std::string text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  write_file_atomic(folder / "a.txt", text + "\n");
  const LoadedData data = load_samples(config_of({"a.txt"}), folder.path(), encode_bytes, 1);
  std::string targets;
  for (int64_t i = 0; i < data.train->size(); ++i) {
    EXPECT_LE(data.train->length(i), 16);
    for (int64_t t = 1; t < data.train->length(i); ++t) targets += static_cast<char>(data.train->ids(i)[t]);
  }
  EXPECT_EQ(targets, text.substr(1));
  EXPECT_EQ(data.report.sources[0].n_split_documents, 1);
}

TEST(LoadSamples, TreatsOverLengthConversationsByPolicy) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", R"({"prompt":"short","completion":"yes"})" "\n" R"({"prompt":"short","completion":"a long, long answer"})" "\n"
                                        R"({"prompt":"a prompt over the limit","completion":"no"})" "\n");
  DataConfig config = config_of({"a.jsonl"});
  EXPECT_ERROR(load_samples(config, folder.path(), encode_bytes, 1), ErrorKind::kData, "24 tokens, sequence_length is 16");
  config.on_over_length = "skip";
  LoadedData data = load_samples(config, folder.path(), encode_bytes, 1);
  EXPECT_EQ(texts_of(*data.train), "shortyes");
  EXPECT_EQ(data.report.sources[0].n_over_length, 2);
  config.on_over_length = "truncate";
  data = load_samples(config, folder.path(), encode_bytes, 1);   // on_bad_row = "stop": a cut prompt is no bad row
  EXPECT_EQ(texts_of(*data.train), "shortyes|shorta long, lon");
  EXPECT_EQ(data.report.sources[0].n_truncated, 1);
  EXPECT_EQ(data.report.sources[0].n_cut_to_nothing, 1);
  EXPECT_EQ(data.report.sources[0].n_bad, 0);
  EXPECT_EQ(data.report.n_skipped(), 1);
  ASSERT_EQ(data.report.warnings().size(), 2u);   // one row cut, one left out
  EXPECT_NE(data.report.warnings()[1].find("1 rows left out because cutting them"), std::string::npos) << data.report.warnings()[1];
}

TEST(LoadSamples, CountsRowsWhoseReasoningIsLeftOut) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", R"({"prompt":"q","completion":"a"})" "\n" R"({"prompt":"q","completion":"<think>r</think>b"})" "\n" R"({"prompt":"q","completion":"<think>s</think>c"})" "\n");
  const LoadedData data = load_samples(config_of({"a.jsonl"}), folder.path(), encode_bytes, 1);
  ASSERT_EQ(data.report.warnings().size(), 1u);
  EXPECT_TRUE(data.report.warnings()[0].starts_with("a.jsonl: 2 rows have reasoning that is left out")) << data.report.warnings()[0];
  EXPECT_TRUE(data.report.warnings()[0].ends_with("a.jsonl:2)")) << data.report.warnings()[0];
  EXPECT_EQ(data.report.to_json()["sources"][0]["rows_with"]["reasoning_left_out"], 2);
}

TEST(LoadSamples, RefusesEmptyDataAndMissingSections) {
  TempFolder folder;
  write_file_atomic(folder / "empty.jsonl", "\n\n");
  EXPECT_ERROR(load_samples(config_of({"empty.jsonl"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "holds no rows");
  EXPECT_ERROR(load_samples(config_of({}), folder.path(), encode_bytes, 1), ErrorKind::kConfig, "names no data");
  EXPECT_ERROR(load_samples(config_of({"missing.jsonl"}), folder.path(), encode_bytes, 1), ErrorKind::kData, "missing.jsonl");
}

TEST(LoadSamples, KeepsHeldOutFilesApart) {
  TempFolder folder;
  write_file_atomic(folder / "a.jsonl", R"({"text":"train"})");
  write_file_atomic(folder / "b.jsonl", R"({"text":"test"})");
  DataConfig config = config_of({"a.jsonl"});
  config.held_out_sources.emplace_back().path = "b.jsonl";
  const LoadedData data = load_samples(config, folder.path(), encode_bytes, 1);
  EXPECT_EQ(texts_of(*data.train), "train");
  EXPECT_EQ(texts_of(*data.held_out), "test");
}

TEST(LoadSamples, WarnsOfAHeldOutFileThatIsTrainedOn) {
  TempFolder folder;
  fs::create_directories(folder / "data");
  write_file_atomic(folder / "data/a.jsonl", R"({"text":"train"})");
  DataConfig config = config_of({"data"});
  config.held_out_sources.emplace_back().path = "data/../data/a.jsonl";
  const std::vector<std::string> warnings = load_samples(config, folder.path(), encode_bytes, 1).report.warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("held out, but it is trained on too"), std::string::npos);
}

TEST(DataConfig, RoundTripsThroughToml) {
  DataConfig config = config_of({"a.jsonl", "b.txt"});
  config.sources[1].weight = 0.5;
  config.on_bad_row = "skip";
  const std::string text = render_toml(config);
  DataConfig back;
  TomlReader::read(parse_toml(text, "test"), "", back);
  EXPECT_EQ(render_toml(back), text);
  EXPECT_EQ(back.sources.size(), 2u);
}

}  // namespace
}  // namespace temper
