// Runs an op on heap buffers of exactly the tensors' size.
#ifndef FLOE_TESTS_REFERENCE_RUN_CASE_H_
#define FLOE_TESTS_REFERENCE_RUN_CASE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "backends/reference/ops.h"
#include "tests/reference/cases.h"

namespace floe::reference {

// What buffers hold before anything is written to them.
inline uint8_t poison = 0xa5;

// A heap block whose end is the tensor's end, so that AddressSanitizer sees every byte beyond it.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes), data_(std::malloc(bytes == 0 ? 1 : bytes)) {
    std::fill_n(static_cast<uint8_t*>(data_), bytes, poison);
  }
  explicit Buffer(const std::vector<uint8_t>& content) : Buffer(content.size()) {
    std::copy(content.begin(), content.end(), static_cast<uint8_t*>(data_));
  }
  Buffer(Buffer&& other) noexcept : bytes_(other.bytes_), data_(other.data_) {
    other.data_ = nullptr;
  }
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() { std::free(data_); }

  void* data() { return data_; }
  size_t size() const { return bytes_; }
  std::vector<uint8_t> Bytes() const {
    const auto* p = static_cast<const uint8_t*>(data_);
    return {p, p + bytes_};
  }

 private:
  size_t bytes_;
  void* data_;
};

// What an OpInfo points to.
struct Call {
  OpId op;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<int64_t> attrs;
  std::vector<PwInstr> code;

  static Call Of(const Case& c) {
    Call call{c.op, {}, {}, c.attrs, c.code};
    for (const CaseTensor& t : c.inputs) call.inputs.push_back(t.info);
    for (const CaseTensor& t : c.outputs) call.outputs.push_back(t.info);
    return call;
  }
  OpInfo info() const {
    OpInfo i;
    i.inputs = inputs.data();
    i.outputs = outputs.data();
    i.input_count = static_cast<uint32_t>(inputs.size());
    i.output_count = static_cast<uint32_t>(outputs.size());
    i.attrs = attrs.data();
    i.attr_count = static_cast<uint32_t>(attrs.size());
    i.code = code.data();
    i.code_count = static_cast<uint32_t>(code.size());
    return i;
  }
  Status Check(Footprint* footprint) const { return CheckOp(op, info(), footprint); }
  Status Check() const {
    Footprint footprint;
    return Check(&footprint);
  }
};

// Runs an accepted call. data: the inputs' bytes. shared: the input whose storage output 0 shares,
// or -1. Fills *outputs.
inline Rule RunCall(const Call& call, const Footprint& footprint,
                    const std::vector<std::vector<uint8_t>>& data, int shared,
                    std::vector<std::vector<uint8_t>>* outputs) {
  std::vector<Buffer> in, out;
  std::vector<const void*> in_data;
  std::vector<void*> out_data;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    in.emplace_back(data[i]);
    in_data.push_back(call.inputs[i].present() ? in.back().data() : nullptr);
  }
  for (const TensorInfo& t : call.outputs) {
    int64_t bytes = 0;
    if (t.present() && !TensorBytes(t, &bytes).ok()) std::abort();
    out.emplace_back(static_cast<size_t>(bytes));
    out_data.push_back(t.present() ? out.back().data() : nullptr);
  }
  if (shared >= 0) out_data[0] = in[static_cast<size_t>(shared)].data();
  Buffer scratch(static_cast<size_t>(footprint.scratch_bytes));
  const Rule rule = RunOp(call.op, call.info(), in_data.data(), out_data.data(), scratch.data());
  outputs->clear();
  for (Buffer& b : out) outputs->push_back(b.Bytes());
  if (shared >= 0) (*outputs)[0] = in[static_cast<size_t>(shared)].Bytes();
  return rule;
}

}  // namespace floe::reference

#endif  // FLOE_TESTS_REFERENCE_RUN_CASE_H_
