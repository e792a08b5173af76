#pragma once
// Multi-token prediction: one more block on the un-collapsed streams that looks one token further.  docs/deepseek_v4.md, "Multi-token prediction".
//   T tokens   M hc_mult   D hidden_size

#include "model/deepseek_v4/block.h"

namespace temper {

/// The head of a stack: hc_head collapses the streams, a norm follows.
struct HeadWeights {
  HyperConnectionWeights hc;
  Weight norm;   // [D]
};
struct HeadSaved {
  Tensor streams;   // [T, M, D]
  HcSaved hc;
  Tensor y, rstd;   // [T, D], [T]
};
/// streams [T, M, D] -> hidden [T, D]
std::pair<Tensor, HeadSaved> collapse(const Tensor& streams, const HeadWeights& weights, const ModelConfig& config);
Tensor collapse_backward(const Tensor& grad_hidden, const HeadSaved& saved, const HeadWeights& weights, const ModelConfig& config);

struct MtpWeights {
  Weight enorm, hnorm;     // [D]
  Weight e_proj, h_proj;   // [D, D]
  BlockWeights block;
  HeadWeights head;
};

/// How streams and the next token's embedding become the block's input.
struct MtpInputSaved {
  Tensor embedded, embedded_rstd, e;     // [T, D], [T], [T, D]: before enorm, and after
  Tensor streams, streams_rstd, h;       // [T, M, D], [T, M], [T, M, D]: before hnorm, and after
};

/// X'_t[k] = e_proj enorm(embedding of the next id) + h_proj hnorm(X_t[k])
std::pair<Tensor, MtpInputSaved> mtp_input(const Tensor& streams, const Tensor& embedded, const MtpWeights& weights, const ModelConfig& config);
struct MtpInputGrad {
  Tensor streams, embedded;   // [T, M, D], [T, D]
};
MtpInputGrad mtp_input_backward(const Tensor& grad, const MtpInputSaved& saved, const MtpWeights& weights);

/// Row of the token `shift` further in the same document; positions past its end point at its last token (their
/// predictions have no target).  -> [T] int64
Tensor shifted_rows(const std::vector<int64_t>& document_lengths, int64_t shift, c10::Device device);

}  // namespace temper
