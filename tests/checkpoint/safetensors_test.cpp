// The format is checked against bytes written by hand from its specification (8 bytes little-endian length, JSON, data)
// and, in golden_files_test.cpp, against files that another implementation wrote.
#include "checkpoint/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

std::string length_prefix(uint64_t n) { return {reinterpret_cast<const char*>(&n), 8}; }
std::string file_of(const std::string& json, size_t data_bytes) { return length_prefix(json.size()) + json + std::string(data_bytes, '\1'); }

SafetensorsHeader parse(const std::string& bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(bytes.data(), bytes.size())), bytes.size(), "x.safetensors");
}

TEST(SafetensorsHeader, ReadsNamesTypesShapesOffsetsAndMetadata) {
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I8","shape":[3],"data_offsets":[8,11]},"a":{"shape":[2,2],"data_offsets":[0,8],"dtype":"BF16"}}  )";
  const SafetensorsHeader header = parse(file_of(json, 11));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.tensors[0].name, "a");   // in the order of the data
  EXPECT_EQ(header.tensors[0].dtype, StoredDtype::kBF16);
  EXPECT_EQ(header.tensors[0].shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(header.tensors[0].offset, 8 + json.size());
  EXPECT_EQ(header.tensors[1].offset, 8 + json.size() + 8);
  EXPECT_EQ(header.tensors[1].bytes, 3u);
}

TEST(SafetensorsHeader, AcceptsScalarsAndEmptyTensors) {
  const SafetensorsHeader header =
      parse(file_of(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]}})", 4));
  EXPECT_EQ(header.tensors[0].bytes, 4u);
  EXPECT_EQ(header.tensors[1].bytes, 0u);
}

struct Fault {
  const char* name;
  std::string file;
  const char* message;
};

class SafetensorsFaults : public ::testing::TestWithParam<Fault> {};

TEST_P(SafetensorsFaults, AreCheckpointErrorsThatNameTheFileAndTheFault) {
  EXPECT_ERROR(parse(GetParam().file), ErrorKind::kCheckpoint, GetParam().message);
  EXPECT_ERROR(parse(GetParam().file), ErrorKind::kCheckpoint, "x.safetensors");
}

std::string one(const std::string& body, size_t data_bytes) { return file_of("{\"w\":{" + body + "}}", data_bytes); }

INSTANTIATE_TEST_SUITE_P(
    Headers, SafetensorsFaults,
    ::testing::Values(
        Fault{"Empty", "", "too few"}, Fault{"SevenBytes", "1234567", "too few"},
        Fault{"LengthBeyondTheFile", length_prefix(1000) + "{}", "claims 1000 bytes"},
        Fault{"LengthNearOverflow", length_prefix(~uint64_t{0}) + "{}", "the limit is"},
        Fault{"NoJson", file_of("[]", 0), "not a JSON object"}, Fault{"CutJson", file_of(R"({"w":{"dtype":"F32")", 0), "not valid JSON"},
        Fault{"TextAfterJson", file_of("{} x", 0), "not valid JSON"},
        Fault{"NotUtf8", file_of("{\"\xff\xfe\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0), "not valid JSON"},
        Fault{"RepeatedName",
              file_of(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2),
              "two tensors are named \"w\""},
        Fault{"UnknownDtype", one(R"("dtype":"F7","shape":[1],"data_offsets":[0,1])", 1), "w has the unknown dtype \"F7\""},
        Fault{"NoShape", one(R"("dtype":"U8","data_offsets":[0,1])", 1), "w lacks shape"},
        Fault{"UnknownEntry", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":[1])", 1), "unknown entry \"stride\""},
        Fault{"NegativeSize", one(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])", 1), "w has the negative number -1"},
        Fault{"FractionalSize", one(R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])", 1), "whole number"},
        Fault{"OverflowingShape", one(R"("dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,4])", 4), "overflows"},
        Fault{"HugeSize", one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])", 4), "w has a size of"},
        Fault{"ShapeAndRangeDiffer", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", 4), "= 8 bytes, but its data_offsets span 4"},
        Fault{"BackwardRange", one(R"("dtype":"U8","shape":[1],"data_offsets":[2,1])", 2), "needed is [begin, end]"},
        Fault{"ThreeOffsets", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,2])", 2), "needed is [begin, end]"},
        Fault{"BeyondTheData", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])", 3), "but the file has 3 data bytes"},
        Fault{"BytesLeftOver", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])", 5), "but the file has 5 data bytes"},
        Fault{"Hole", one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])", 2), "1 data bytes before w belong to no tensor"},
        Fault{"Overlap",
              file_of(R"({"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3), "w overlaps"},
        Fault{"NestedObject", one(R"("dtype":{"x":1},"shape":[1],"data_offsets":[0,1])", 1), "unexpected place"},
        Fault{"TensorIsANumber", file_of(R"({"w":3})", 0), "unexpected place"},
        Fault{"MetadataIsAList", file_of(R"({"__metadata__":["pt"]})", 0), "unexpected place"}),
    [](const auto& info) { return info.param.name; });

TEST(SafetensorsFile, EveryTruncationAndEveryFlippedHeaderByteIsReadOrRejectedButNeverCrashes) {
  const test::TempFolder folder;
  write_safetensors(folder / "a.safetensors", {{"x", at::arange(6, at::kFloat)}, {"y", at::arange(4, at::kLong)}});
  const std::string whole = read_file(folder / "a.safetensors");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_ERROR(parse(whole.substr(0, n)), ErrorKind::kCheckpoint, "x.safetensors");
  for (size_t n = 0; n < whole.size() - 56; ++n) {
    for (const int flip : {1, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[n] = static_cast<char>(damaged[n] ^ flip);
      try {
        parse(damaged);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
      }
    }
  }
}

TEST(SafetensorsFile, WhatIsWrittenIsReadBackForEveryDtype) {
  const test::TempFolder folder;
  std::vector<std::pair<std::string, Tensor>> tensors = {{"bytes", at::ones({3}, at::kChar)}};
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kByte, at::kBool})
    tensors.emplace_back(dtype_name(dtype), at::arange(6, at::kFloat).view({2, 3}).to(dtype));
  tensors.emplace_back("fp8", at::arange(6, at::kFloat).to(at::ScalarType::Float8_e4m3fn));
  tensors.emplace_back("e8m0", at::full({4}, 2.0, at::kFloat).to(at::ScalarType::Float8_e8m0fnu));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  write_safetensors(folder / "a.safetensors", tensors);
  const SafetensorsFolder read(folder / "a.safetensors");
  for (const auto& [name, value] : tensors) {
    const Tensor back = read.tensor(name);
    EXPECT_EQ(back.scalar_type(), value.scalar_type()) << name;
    EXPECT_TRUE(at::equal(back.to(at::kFloat), value.to(at::kFloat))) << name;
  }
}

// The reference implementation reads such files too: nothing asks for alignment.
TEST(SafetensorsFile, ReadsTensorsAtOddOffsets) {
  const test::TempFolder folder;
  const std::string json = R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[1,17]}})";
  const float values[4] = {1, 2, 3, 4};
  write_file_atomic(folder / "a.safetensors", length_prefix(json.size()) + json + "\1" + std::string(reinterpret_cast<const char*>(values), 16));
  const SafetensorsFile file(folder / "a.safetensors");
  const StoredTensor& x = file.tensors()[1];
  EXPECT_TRUE(at::equal(file.tensor(x), at::arange(1, 5, at::kFloat).view({2, 2})));
  EXPECT_TRUE(at::equal(file.rows(x, 1, 1, {2}), at::arange(3, 5, at::kFloat).view({1, 2})));
}

TEST(SafetensorsFile, AViewOutlivesItsFile) {
  const test::TempFolder folder;
  write_safetensors(folder / "a.safetensors", {{"x", at::arange(1000, at::kFloat)}});
  Tensor view;
  {
    const SafetensorsFile file(folder / "a.safetensors");
    view = file.tensor(file.tensors()[0]);
    EXPECT_EQ(static_cast<const void*>(view.const_data_ptr()), static_cast<const void*>(file.bytes(file.tensors()[0]).data()));
  }
  EXPECT_EQ(view[999].item<float>(), 999.0f);
}

std::vector<StoredTensor> three_tensors() {
  return {{.name = "a", .shape = {10}}, {.name = "b", .shape = {10}}, {.name = "c", .shape = {30}}};
}

void write_three(SafetensorsFolderWriter& writer) {
  writer.write("a", at::full({10}, 1.0, at::kFloat));
  writer.write("b", at::full({10}, 2.0, at::kFloat));
  writer.write("c", at::full({30}, 3.0, at::kFloat));
}

TEST(SafetensorsFolder, ShardsBySizeWithAnIndexAndReadsBack) {
  const test::TempFolder folder;
  SafetensorsFolderWriter writer(folder / "model", three_tensors(), {.max_shard_bytes = 80});
  write_three(writer);
  writer.write_file("config.json", "{}");
  EXPECT_FALSE(fs::exists(folder / "model"));   // nothing is visible before it is complete
  writer.finish();
  EXPECT_TRUE(fs::exists(folder / "model/model-00001-of-00002.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "model/config.json"));
  EXPECT_FALSE(fs::exists(folder / "model.partial"));
  const SafetensorsFolder read(folder / "model");
  EXPECT_EQ(read.names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(read.n_files(), 2u);   // a tensor larger than a shard gets its own
  EXPECT_EQ(read.data_bytes(), 200u);
  EXPECT_EQ(read.tensor("c")[29].item<float>(), 3.0f);
  EXPECT_ERROR(read.tensor("d"), ErrorKind::kCheckpoint, "the tensor d is missing");
}

TEST(SafetensorsFolder, ReadsAFolderWithoutIndexAndASingleFile) {
  const test::TempFolder folder;
  write_safetensors(folder / "one.safetensors", {{"a", at::ones({2})}});
  write_safetensors(folder / "two.safetensors", {{"b", at::ones({2})}});
  EXPECT_EQ(SafetensorsFolder(folder.path()).names().size(), 2u);
  EXPECT_EQ(SafetensorsFolder(folder / "two.safetensors").names(), (std::vector<std::string>{"b"}));
  write_safetensors(folder / "three.safetensors", {{"a", at::ones({2})}});
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "a is in two files, one.safetensors and three.safetensors");
}

TEST(SafetensorsFolder, MissingShardsAndWrongIndexesAreNamed) {
  const test::TempFolder folder;
  EXPECT_ERROR(SafetensorsFolder(folder / "nothing"), ErrorKind::kCheckpoint, "no such file or folder");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "no .safetensors file");
  write_safetensors(folder / "one.safetensors", {{"a", at::ones({2})}});
  const fs::path index = folder / "model.safetensors.index.json";
  write_file_atomic(index, R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "the shard two.safetensors is missing");
  write_file_atomic(index, R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "b is in the index, but not in one.safetensors");
  write_file_atomic(index, R"({"weight_map":{"b":"one.safetensors"}})");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "a is not in the index");
  write_file_atomic(index, R"({"weight_map":{"a":"../one.safetensors"}})");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "of the same folder");
  write_file_atomic(index, "{\"weight_map\":");
  EXPECT_ERROR(SafetensorsFolder(folder.path()), ErrorKind::kCheckpoint, "not valid JSON");
}

TEST(SafetensorsFolder, AnUnfinishedOrRefusedWriteLeavesEverythingAsItWas) {
  const test::TempFolder folder;
  {
    SafetensorsFolderWriter writer(folder / "model", three_tensors(), {.max_shard_bytes = 40});
    writer.write("a", at::ones({10}));
    EXPECT_ERROR(writer.write("c", at::ones({30})), ErrorKind::kInternal, "declared was b");
  }
  EXPECT_FALSE(fs::exists(folder / "model"));
  EXPECT_FALSE(fs::exists(folder / "model.partial"));
  fs::create_directory(folder / "full");
  write_file_atomic(folder / "full/keep", "me");
  EXPECT_ERROR(SafetensorsFolderWriter(folder / "full", three_tensors(), {}), ErrorKind::kConfig, "not empty");
  EXPECT_EQ(read_file(folder / "full/keep"), "me");
  EXPECT_ERROR(SafetensorsFolderWriter(folder / "full/keep/model", three_tensors(), {}), ErrorKind::kResource, "full/keep");
}

}  // namespace
}  // namespace temper
