#include "tensor/probe.h"

namespace temper {
namespace {
thread_local ProbeSink current_sink;
}

ProbeScope::ProbeScope(ProbeSink sink) : previous_(std::move(current_sink)) { current_sink = std::move(sink); }
ProbeScope::~ProbeScope() { current_sink = std::move(previous_); }

bool probing() { return static_cast<bool>(current_sink); }
void probe(const std::string& name, const Tensor& value) {
  if (current_sink) current_sink(name, value);
}

}  // namespace temper
