#include "data/load_samples.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/row_reader.h"
#include "data/source_files.h"

namespace temper {
namespace {

constexpr size_t kRowsAtOnce = 2048, kBytesAtOnce = size_t{32} << 20;
constexpr size_t kMaxExamples = 20;

/// What a thread found out about one row.
struct Outcome {
  std::string bad;                        // reason, or empty
  std::string over_length;                // reason, or empty
  bool held_out = false, truncated = false, cut_to_nothing = false, split = false;
  std::vector<RowNote> notes;
  std::vector<EncodedSample> samples;
};

bool is_document_file(const fs::path& path) {
  const fs::path inner = path.extension() == ".gz" || path.extension() == ".zst" ? path.stem() : path;
  return inner.extension() == ".txt";
}

/// Pieces of a long text: each starts with the last token of the one before as context, so every target is trained once.
std::vector<EncodedSample> split_sample(const EncodedSample& sample, int64_t capacity) {
  std::vector<EncodedSample> pieces;
  const auto n = static_cast<int64_t>(sample.ids.size());
  for (int64_t begin = 0; begin < n - 1; begin += capacity - 1) {
    const int64_t end = std::min(n, begin + capacity);
    EncodedSample piece{{sample.ids.begin() + begin, sample.ids.begin() + end}, {sample.weights.begin() + begin, sample.weights.begin() + end}};
    piece.weights[0] = 0;
    if (piece.n_trained() > 0) pieces.push_back(std::move(piece));
  }
  return pieces;
}

bool is_held_out(std::string_view text, double fraction) {
  constexpr uint64_t kSplitSeed = 0x7ef1;   // fixed: the split belongs to the data, not to a run
  const uint64_t hash = XXH3_64bits_withSeed(text.data(), text.size(), kSplitSeed);
  return static_cast<double>(hash >> 11) * 0x1.0p-53 < fraction;
}

/// Reads one source; the policy for its bad rows lives here.
class SourceLoader {
 public:
  /// `name` of the file for the user, `path` to open it.
  SourceLoader(const DataConfig& config, const DataSourceConfig& source, const std::string& name, const fs::path& path, const SampleEncoder& encode)
      : config_(config), source_(source), path_(path), encode_(encode) {
    report_.path = name;
    if (source.format != "auto") format_ = parse_row_format(source.format);
    else if (is_document_file(path)) format_ = RowFormat::kDocument;
  }

  /// `index` of the source in the store; `held_out_share`: 1 for files that are held out as a whole.
  LoadReport::Source load(ThreadPool& pool, int32_t index, double held_out_share, LoadedData& into) {
    held_out_share_ = held_out_share;
    std::vector<TextPiece> pieces;
    auto read = [&, rows = std::optional<RowReader>(), documents = std::optional<DocumentReader>()](TextPiece& piece) mutable {
      if (format_ == RowFormat::kDocument) {
        if (!documents) documents.emplace(path_, source_.separator, config_.max_line_bytes);
        return documents->next(piece);
      }
      if (!rows) rows.emplace(path_, config_.max_line_bytes);
      return rows->next(piece);
    };
    bool more = true;
    while (more) {
      check_interrupt();
      pieces.clear();
      size_t bytes = 0;
      TextPiece piece;
      while (pieces.size() < kRowsAtOnce && bytes < kBytesAtOnce && (more = read(piece))) {
        bytes += piece.text.size();
        pieces.push_back(std::move(piece));
      }
      detect_format(pieces);
      std::vector<Outcome> outcomes(pieces.size());
      pool.parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) { outcomes[i] = process(pieces[i]); });
      for (size_t i = 0; i < pieces.size(); ++i) take(pieces[i], outcomes[i], index, into);
    }
    if (report_.n_rows == 0)
      throw Error({.kind = ErrorKind::kData, .what = "the file holds no rows", .where = path_.string(), .fix = "check the path and how the file was made"});
    report_.format = format_ ? row_format_name(*format_) : "none";
    return report_;
  }

 private:
  /// The first usable row of the file decides; later rows must agree.
  void detect_format(const std::vector<TextPiece>& pieces) {
    for (const TextPiece& piece : pieces) {
      if (format_) return;
      if (!piece.defect.empty()) continue;
      try {
        const Json row = parse_row(piece.text);
        format_ = detect_row_format(row);
        std::string keys;
        for (const auto& [key, value] : row.items()) keys += (keys.empty() ? "" : ", ") + key;
        log_info("data", "{}: rows are {} (keys of {}: {})", report_.path, row_format_name(*format_), piece.row ? fmt::format("row {}", piece.row) : fmt::format("line {}", piece.line), keys);
      } catch (const BadRow&) {
        // Reported with its line by process().
      }
    }
  }

  Outcome process(const TextPiece& piece) const {
    Outcome out;
    try {
      if (!piece.defect.empty()) throw BadRow{piece.defect};
      TrainingRow row = convert(piece);
      out.held_out = is_held_out(piece.text, held_out_share_);
      int64_t n_trained = 0;
      for (EncodedSample& sample : encode_(row)) {
        n_trained += sample.n_trained();
        if (sample.n_trained() == 0) continue;
        const auto n = static_cast<int64_t>(sample.ids.size());
        if (n <= config_.sequence_length) out.samples.push_back(std::move(sample));
        else if (row.is_text && config_.split_documents) {
          out.samples = split_sample(sample, config_.sequence_length);
          out.split = true;
        } else shorten(std::move(sample), out);
      }
      if (n_trained == 0) throw BadRow{"no token of it would be trained"};
      out.notes = std::move(row.notes);
    } catch (const BadRow& bad) {
      out.bad = bad.reason;
    }
    return out;
  }

  TrainingRow convert(const TextPiece& piece) const {
    if (format_ == RowFormat::kDocument) return convert_row({{"text", piece.text}}, RowFormat::kDocument, {});
    const Json row = parse_row(piece.text);
    if (source_.format == "auto") {
      const RowFormat found = detect_row_format(row);
      if (found != *format_)
        throw BadRow{fmt::format("this row is {}, the file began as {}; one file holds one format", row_format_name(found), row_format_name(*format_))};
    }
    return convert_row(row, *format_, {.mask_history = config_.mask_history, .thinking = config_.thinking_mode == "thinking"});
  }

  void shorten(EncodedSample sample, Outcome& out) const {
    out.over_length = fmt::format("{} tokens, sequence_length is {}", sample.ids.size(), config_.sequence_length);
    if (config_.on_over_length != "truncate") return;
    sample.ids.resize(config_.sequence_length);
    sample.weights.resize(config_.sequence_length);
    if (sample.n_trained() == 0) {
      out.cut_to_nothing = true;
      return;
    }
    out.truncated = true;
    out.samples.push_back(std::move(sample));
  }

  void take(const TextPiece& piece, const Outcome& out, int32_t index, LoadedData& into) {
    const std::string where = piece.place(path_.string());
    ++report_.n_rows;
    if (!out.bad.empty()) {
      if (config_.on_bad_row == "stop")
        throw Error({.kind = ErrorKind::kData, .what = out.bad, .where = where,
                     .fix = "fix the row, or set data.on_bad_row = \"skip\" to leave such rows out, counted and recorded"});
      ++report_.n_bad;
      note(piece, out.bad);
      return;
    }
    if (!out.over_length.empty()) {
      if (config_.on_over_length == "error")
        throw Error({.kind = ErrorKind::kData, .what = "the sample is too long: " + out.over_length, .where = where,
                     .fix = "raise data.sequence_length, or set data.on_over_length to \"skip\" or \"truncate\" (counted and recorded)"});
      const bool left_out = out.samples.empty();
      ++(out.truncated ? report_.n_truncated : out.cut_to_nothing ? report_.n_cut_to_nothing : report_.n_over_length);
      note(piece, (left_out ? "left out: " : "cut: ") + out.over_length + (out.cut_to_nothing ? ", and no token before that is trained" : ""));
    }
    for (const RowNote found : out.notes) {
      LoadReport::Noted& noted = report_.notes[static_cast<size_t>(found)];
      if (noted.n_rows++ == 0) noted.first = where;
    }
    report_.n_split_documents += out.split;
    for (int32_t part = 0; part < static_cast<int32_t>(out.samples.size()); ++part)
      (out.held_out ? into.held_out : into.train)->add(out.samples[part], index, {.row = report_.n_rows - 1, .line = piece.line, .part = part});
    (out.held_out ? report_.n_held_out_samples : report_.n_train_samples) += static_cast<int64_t>(out.samples.size());
  }

  void note(const TextPiece& piece, const std::string& reason) {
    if (report_.examples.size() < kMaxExamples) report_.examples.push_back(fmt::format("{}: {}", piece.place(report_.path), reason));
  }

  const DataConfig& config_;
  const DataSourceConfig& source_;
  fs::path path_;
  const SampleEncoder& encode_;
  std::optional<RowFormat> format_;
  double held_out_share_ = 0;
  LoadReport::Source report_;
};

struct NamedFile {
  std::string name;   // as the recipe writes it, where it names the file itself
  fs::path path;
};

std::vector<NamedFile> files_of(const DataSourceConfig& source, const fs::path& base_folder) {
  const fs::path path = fs::path(source.path).is_absolute() ? fs::path(source.path) : base_folder / source.path;
  const SourceFiles found = source_files(path);
  if (found.files.size() > 1) log_info("data", "{}: {} files", source.path, found.files.size());
  if (!found.ignored.empty())
    log_info("data", "{}: {} other files are no data by their names, the first: {}", source.path, found.ignored.size(), found.ignored.front().string());
  std::vector<NamedFile> files;
  for (const fs::path& file : found.files) files.push_back({file == path ? source.path : file.lexically_proximate(base_folder.empty() ? "." : base_folder).string(), file});
  return files;
}

void say(const LoadReport::Source& source) {
  log_info("data", "{}: {} rows, format {}, {} samples to train on, {} held out, {} documents split", source.path, source.n_rows,
           source.format, source.n_train_samples, source.n_held_out_samples, source.n_split_documents);
  for (const std::string& warning : source.warnings()) log_warn("data", "{}", warning);
}

}  // namespace

LoadedData count_samples(const DataConfig& config, const fs::path& base_folder, const SampleEncoder& encode, int n_threads) {
  if (config.sources.empty())
    throw Error({.kind = ErrorKind::kConfig, .what = "the recipe names no data", .where = "[data]",
                 .fix = "add [[data.sources]] with path = \"...\""});
  LoadedData data{std::make_shared<SampleStore>(), std::make_shared<SampleStore>(), {}};
  ThreadPool pool(n_threads);
  int32_t index = 0;
  std::set<fs::path> trained;
  const auto load = [&](const DataSourceConfig& source, double held_out_share) {
    for (const auto& [name, file] : files_of(source, base_folder)) {
      WhileDoing work(fmt::format("reading the data {}", name));
      data.report.sources.push_back(SourceLoader(config, source, name, file, encode).load(pool, index, held_out_share, data));
      std::error_code error;
      const fs::path one_name = fs::weakly_canonical(file, error);
      if (held_out_share < 1) trained.insert(one_name);
      else data.report.sources.back().also_trained = trained.contains(one_name);
      say(data.report.sources.back());
    }
    ++index;
  };
  for (const DataSourceConfig& source : config.sources) load(source, config.held_out_fraction);
  for (const DataSourceConfig& source : config.held_out_sources) load(source, 1.0);
  return data;
}

LoadedData load_samples(const DataConfig& config, const fs::path& base_folder, const SampleEncoder& encode, int n_threads) {
  LoadedData data = count_samples(config, base_folder, encode, n_threads);
  if (data.train->size() == 0)
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("no usable sample among {} skipped rows", data.report.n_skipped()),
                 .where = config.sources.front().path,
                 .fix = "look at the first reason in the log, or set data.on_bad_row = \"stop\" to see it with its line"});
  return data;
}

}  // namespace temper
