#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/placeholder.h"

namespace temper {
namespace {

[[noreturn]] void damaged_file(std::string what, const std::string& where) {
  throw Error({.kind = ErrorKind::kCheckpoint,
               .what = std::move(what),
               .where = where,
               .fix = "the file is damaged or incomplete: fetch or write it again"});
}

// Builds the list of tensors from the parser's events.  A tree of JSON values would silently merge repeated names.
//   { "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, "__metadata__": { "format": "pt" } }
class HeaderBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderBuilder(SafetensorsHeader& header, const std::string& where) : header_(header), where_(where) {}

  bool start_object(size_t) override {
    if (depth_ >= 2 || in_array_ || (depth_ == 1 && key_.empty() && !has_key_)) unexpected("an object");
    if (++depth_ == 2) {
      in_metadata_ = key_ == "__metadata__";
      if (!in_metadata_) {
        current_ = {};
        current_.name = key_;
        have_dtype_ = have_shape_ = have_offsets_ = false;
      }
    }
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) finish_tensor();
    if (depth_-- == 2) in_metadata_ = false;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second) damaged_file(fmt::format("two tensors are named \"{}\"", name), where_);
      has_key_ = true;
      key_ = name;
    } else {
      if (!in_metadata_ && name != "dtype" && name != "shape" && name != "data_offsets")
        damaged_file(fmt::format("{} has an unknown entry \"{}\"", key_, name), where_);
      field_ = name;
    }
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_ && !in_array_) {
      header_.metadata[field_] = text;
    } else if (depth_ == 2 && field_ == "dtype" && !in_array_) {
      const auto dtype = parse_stored_dtype(text);
      if (!dtype) damaged_file(fmt::format("{} has the unknown dtype \"{}\"", key_, text), where_);
      if (have_dtype_) damaged_file(fmt::format("{} has two dtypes", key_), where_);
      current_.dtype = *dtype;
      have_dtype_ = true;
    } else {
      unexpected("a string");
    }
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || in_array_ || (field_ != "shape" && field_ != "data_offsets")) unexpected("a list");
    bool& have = field_ == "shape" ? have_shape_ : have_offsets_;
    if (have) damaged_file(fmt::format("{} has two entries \"{}\"", key_, field_), where_);
    have = in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    if (field_ == "shape") {
      for (const uint64_t size : numbers_) {
        if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) damaged_file(fmt::format("{} has a size of {}", key_, size), where_);
        current_.shape.push_back(static_cast<int64_t>(size));
      }
    } else {
      if (numbers_.size() != 2 || numbers_[0] > numbers_[1])
        damaged_file(fmt::format("{} has data_offsets [{}], needed is [begin, end]", key_, fmt::join(numbers_, ", ")), where_);
      current_.offset = numbers_[0];
      current_.bytes = numbers_[1] - numbers_[0];
    }
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) unexpected("a number");
    if (numbers_.size() >= 64) damaged_file(fmt::format("{} has more than 64 numbers in \"{}\"", key_, field_), where_);
    numbers_.push_back(value);
    return true;
  }
  bool number_integer(number_integer_t value) override {
    if (value < 0) damaged_file(fmt::format("{} has the negative number {} in \"{}\"", key_, value, field_), where_);
    return number_unsigned(static_cast<uint64_t>(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    damaged_file(fmt::format("{} has {} in \"{}\", needed is a whole number", key_, text, field_), where_);
  }
  bool null() override {
    if (depth_ == 1 && key_ == "__metadata__" && !in_array_) return true;   // no metadata
    unexpected("null");
  }
  bool boolean(bool) override { unexpected("true or false"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) override {
    std::string reason = e.what();
    if (const size_t end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    damaged_file(fmt::format("the safetensors header is not valid JSON at its byte {}: {}", position, printable(reason)), where_);
  }

 private:
  // The reason quotes the text around the fault, which may be any bytes.
  static std::string printable(std::string text) {
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    return text;
  }
  [[noreturn]] void unexpected(std::string_view thing) const {
    damaged_file(fmt::format("the safetensors header has {} at an unexpected place (near \"{}\")", thing, key_), where_);
  }
  void finish_tensor() {
    if (!have_dtype_ || !have_shape_ || !have_offsets_)
      damaged_file(fmt::format("{} lacks {}", key_, !have_dtype_ ? "dtype" : !have_shape_ ? "shape" : "data_offsets"), where_);
    header_.tensors.push_back(std::move(current_));
  }

  SafetensorsHeader& header_;
  const std::string& where_;
  std::unordered_set<std::string> names_;
  std::string key_, field_;
  StoredTensor current_;
  std::vector<uint64_t> numbers_;
  int depth_ = 0;
  bool has_key_ = false, in_metadata_ = false, in_array_ = false, have_dtype_ = false, have_shape_ = false, have_offsets_ = false;
};

void check_sizes_and_offsets(std::vector<StoredTensor>& tensors, uint64_t data_bytes, const std::string& where) {
  for (const StoredTensor& tensor : tensors) {
    const auto elements = element_count(tensor.shape);
    const uint64_t item = stored_dtype_bytes(tensor.dtype);
    if (!elements || *elements > std::numeric_limits<uint64_t>::max() / item)
      damaged_file(fmt::format("{} has the shape [{}], which overflows", tensor.name, fmt::join(tensor.shape, ", ")), where);
    if (*elements * item != tensor.bytes)
      damaged_file(fmt::format("{} is {} [{}] = {} bytes, but its data_offsets span {} bytes", tensor.name, stored_dtype_name(tensor.dtype),
                         fmt::join(tensor.shape, ", "), *elements * item, tensor.bytes),
             where);
  }
  std::stable_sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  uint64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset)
      damaged_file(fmt::format("{} ends at data byte {}, but the file has {} data bytes", tensor.name, tensor.offset + tensor.bytes, data_bytes), where);
    if (tensor.offset < end) damaged_file(fmt::format("{} overlaps the tensor before it (begins at data byte {}, {} is taken)", tensor.name, tensor.offset, end), where);
    if (tensor.offset > end) damaged_file(fmt::format("{} data bytes before {} belong to no tensor", tensor.offset - end, tensor.name), where);
    end = tensor.offset + tensor.bytes;
  }
  if (end != data_bytes) damaged_file(fmt::format("the tensors end at data byte {}, but the file has {} data bytes", end, data_bytes), where);
}

}  // namespace

namespace {

// `header_alone`: the data are not there, and are as many bytes as the header says.
SafetensorsHeader parse(std::span<const std::byte> head, uint64_t file_bytes, bool header_alone, const std::string& where) {
  if (file_bytes < 8 || head.size() < 8) damaged_file(fmt::format("{} bytes are too few for a safetensors file", file_bytes), where);
  refuse_placeholder(std::string_view(reinterpret_cast<const char*>(head.data()), std::min<size_t>(head.size(), 512)), where, ErrorKind::kCheckpoint);
  uint64_t length = 0;
  std::memcpy(&length, head.data(), 8);   // little-endian, as every machine we build for
  if (length > kMaxSafetensorsHeaderBytes)
    damaged_file(fmt::format("the header claims {} bytes, the limit is {}: not a safetensors file", length, kMaxSafetensorsHeaderBytes), where);
  if (length > file_bytes - 8 || length > head.size() - 8)
    damaged_file(fmt::format("the header claims {} bytes, but the file has {} bytes", length, file_bytes), where);
  const char* text = reinterpret_cast<const char*>(head.data()) + 8;
  if (length < 2 || text[0] != '{') damaged_file("the header is not a JSON object: not a safetensors file", where);

  SafetensorsHeader header;
  HeaderBuilder builder(header, where);
  nlohmann::json::sax_parse(text, text + length, &builder);
  uint64_t data_bytes = file_bytes - 8 - length;
  if (header_alone)
    for (const StoredTensor& tensor : header.tensors) data_bytes = std::max(data_bytes, tensor.offset + tensor.bytes);
  check_sizes_and_offsets(header.tensors, data_bytes, where);
  for (StoredTensor& tensor : header.tensors) tensor.offset += 8 + length;
  return header;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head, uint64_t file_bytes, const std::string& where) {
  return parse(head, file_bytes, /*header_alone=*/false, where);
}

SafetensorsHeader parse_safetensors_header_alone(std::span<const std::byte> head, const std::string& where) {
  return parse(head, head.size(), /*header_alone=*/true, where);
}

bool ends_with_its_header(std::span<const std::byte> head, uint64_t file_bytes) {
  uint64_t length = 0;
  if (head.size() < 8) return false;
  std::memcpy(&length, head.data(), 8);
  return length == file_bytes - 8;
}

std::string render_safetensors_header(std::vector<StoredTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + nlohmann::json(metadata).dump();
  uint64_t end = 0;
  for (StoredTensor& tensor : tensors) {
    tensor.bytes = *element_count(tensor.shape) * stored_dtype_bytes(tensor.dtype);
    tensor.offset = end;
    end += tensor.bytes;
    text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", text.size() > 1 ? "," : "",
                        nlohmann::json(tensor.name).dump(), stored_dtype_name(tensor.dtype), fmt::join(tensor.shape, ","), tensor.offset, end);
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  for (StoredTensor& tensor : tensors) tensor.offset += 8 + length;
  return std::string(reinterpret_cast<const char*>(&length), 8) + text;
}

}  // namespace temper
