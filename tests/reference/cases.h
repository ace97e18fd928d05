// Reads cases.bin and torch_cases.bin, which make_cases.py and make_torch_cases.py write: ops with
// inputs, attributes and the outputs that an independent implementation gives.
//
// Little endian. "FLOECAS1", u32 case count; a case: name and op (u16 length, bytes), f64 rtol, f64
// atol, u8 attribute words, u8 code length, u8 inputs, u8 outputs, the words (i64), the code
// (12-byte PwInstr), the tensors, inputs first: u8 dtype, u8 rank, u32 dims, elements.
#ifndef FLOE_TESTS_REFERENCE_CASES_H_
#define FLOE_TESTS_REFERENCE_CASES_H_

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "format/footprint.h"
#include "format/ops.h"

namespace floe::reference {

struct CaseTensor {
  TensorInfo info;
  std::vector<uint8_t> bytes;
};

struct Case {
  std::string name;
  OpId op = OpId::kCount;
  double rtol = 0, atol = 0;
  std::vector<int64_t> attrs;
  std::vector<PwInstr> code;
  std::vector<CaseTensor> inputs, outputs;
};

class CaseReader {
 public:
  // Empty if the file cannot be read or is not one of cases.
  static std::vector<Case> ReadAll(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    CaseReader r;
    r.data_.assign(std::istreambuf_iterator<char>(file), {});
    std::vector<Case> cases;
    if (r.data_.size() < 12 || std::memcmp(r.data_.data(), "FLOECAS1", 8) != 0) return cases;
    r.at_ = 8;
    cases.resize(r.Number<uint32_t>());
    for (Case& c : cases) r.ReadCase(&c);
    return cases;
  }

 private:
  template <class T>
  T Number() {
    T v{};
    if (at_ + sizeof(T) <= data_.size()) std::memcpy(&v, data_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return v;
  }
  std::string Text() {
    const size_t n = Number<uint16_t>();
    at_ += n;
    return std::string(data_.data() + at_ - n, n);
  }
  CaseTensor Tensor() {
    CaseTensor t;
    t.info.dtype = static_cast<DType>(Number<uint8_t>());
    t.info.rank = Number<uint8_t>();
    int64_t bytes = DTypeSize(t.info.dtype);
    for (int i = 0; i < t.info.rank; ++i) bytes *= t.info.dims[i] = Number<uint32_t>();
    t.bytes.assign(data_.begin() + static_cast<int64_t>(at_),
                   data_.begin() + static_cast<int64_t>(at_) + bytes);
    at_ += static_cast<size_t>(bytes);
    return t;
  }
  void ReadCase(Case* c) {
    c->name = Text();
    const std::string op = Text();
    c->op = FindOp(op.data(), op.size());
    c->rtol = Number<double>();
    c->atol = Number<double>();
    c->attrs.resize(Number<uint8_t>());
    c->code.resize(Number<uint8_t>());
    c->inputs.resize(Number<uint8_t>());
    c->outputs.resize(Number<uint8_t>());
    for (int64_t& word : c->attrs) word = Number<int64_t>();
    for (PwInstr& instr : c->code) instr = Number<PwInstr>();
    for (CaseTensor& t : c->inputs) t = Tensor();
    for (CaseTensor& t : c->outputs) t = Tensor();
  }

  std::vector<char> data_;
  size_t at_ = 0;
};

// The cases of both files; empty if one cannot be read.
inline std::vector<Case> AllCases() {
  std::vector<Case> cases = CaseReader::ReadAll("tests/reference/cases.bin");
  std::vector<Case> torch = CaseReader::ReadAll("tests/reference/torch_cases.bin");
  if (cases.empty() || torch.empty()) return {};
  cases.insert(cases.end(), std::make_move_iterator(torch.begin()),
               std::make_move_iterator(torch.end()));
  return cases;
}

}  // namespace floe::reference

#endif  // FLOE_TESTS_REFERENCE_CASES_H_
