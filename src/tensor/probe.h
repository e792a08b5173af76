#pragma once
// Named intermediate tensors.  Without a sink a probe is one branch; with one, every `probe(name, tensor)` of the model
// is recorded, so that a run can be compared with an oracle tensor by tensor.

#include <functional>
#include <string>

#include "tensor/tensor.h"

namespace temper {

using ProbeSink = std::function<void(const std::string& name, const Tensor& value)>;

/// While it lives, probes of this thread go to `sink`.
class ProbeScope {
 public:
  explicit ProbeScope(ProbeSink sink);
  ~ProbeScope();
  ProbeScope(const ProbeScope&) = delete;
  ProbeScope& operator=(const ProbeScope&) = delete;

 private:
  ProbeSink previous_;
};

bool probing();
void probe(const std::string& name, const Tensor& value);

}  // namespace temper
