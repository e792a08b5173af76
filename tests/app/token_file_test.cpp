#include "app/token_file.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temp_folder.h"

namespace temper {
namespace {

TokenFile read(const std::string& text) {
  const test::TempFolder folder;
  write_file_atomic(folder / "t.json", text);
  return read_token_file(folder / "t.json", /*vocab_size=*/10);
}

TEST(TokenFile, RowsFollowEachOther) {
  const TokenFile tokens = read(R"({"input_ids": [[1, 2, 3], [4, 5, 6]], "labels": [[1, -100, 3], [-100, -100, 9]]})");
  EXPECT_EQ(tokens.batch_size, 2);
  EXPECT_EQ(tokens.seq_len, 3);
  EXPECT_EQ(tokens.input_ids, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tokens.labels, (std::vector<int64_t>{1, -100, 3, -100, -100, 9}));
  EXPECT_EQ(tokens.document_lengths, (std::vector<int64_t>{3, 3}));
}

TEST(TokenFile, WithoutLabelsTheIdsAreTheLabels) {
  const TokenFile tokens = read(R"({"input_ids": [[1, 2]], "document_lengths": [[1, 1]]})");
  EXPECT_EQ(tokens.labels, tokens.input_ids);
  EXPECT_EQ(tokens.document_lengths, (std::vector<int64_t>{1, 1}));
}

TEST(TokenFile, RefusesWhatItCannotMean) {
  const auto refuses = [](const char* text, const char* part) { EXPECT_ERROR(read(text), ErrorKind::kData, part); };
  refuses("{", "t.json");
  refuses("[]", "not a JSON object");
  refuses(R"({"ids": [[1]]})", "known keys");
  refuses(R"({"labels": [[1]]})", "input_ids");
  refuses(R"({"input_ids": []})", "list of rows");
  refuses(R"({"input_ids": [[]]})", "row 0");
  refuses(R"({"input_ids": [[1, 2.5]]})", "column 1 is 2.5");
  refuses(R"({"input_ids": [[18446744073709551615]]})", "not an integer");
  refuses(R"({"input_ids": [[1, 10]]})", "column 1 is 10, the vocabulary has ids 0 to 9");
  refuses(R"({"input_ids": [[-100]]})", "is -100");
  refuses(R"({"input_ids": [[1, 2], [3]]})", "row 1 has 1 tokens");
  refuses(R"({"input_ids": [[1, 2]], "labels": [[1]]})", "another shape");
  refuses(R"({"input_ids": [[1, 2]], "labels": [[1, -1]]})", "labels");
  refuses(R"({"input_ids": [[1, 2]], "document_lengths": [[1]]})", "does not divide");
  refuses(R"({"input_ids": [[1, 2]], "document_lengths": [[1, 1, 1]]})", "does not divide");
  refuses(R"({"input_ids": [[1, 2]], "document_lengths": [[2, 0]]})", "does not divide");
  refuses(R"({"input_ids": [[1, 2]], "document_lengths": [[2], [2]]})", "has 2 rows");
}

}  // namespace
}  // namespace temper
