// Writes pickles opcode by opcode.
#ifndef FLOE_TESTS_TORCH_FILE_PICKLE_BUILDER_H_
#define FLOE_TESTS_TORCH_FILE_PICKLE_BUILDER_H_

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace floe::testing {

class PickleBuilder {
 public:
  explicit PickleBuilder(int protocol = 2) { Op('\x80').Byte(protocol); }

  PickleBuilder& Op(char code) { return Raw(std::string(1, code)); }
  PickleBuilder& Byte(int value) { return Raw(std::string(1, static_cast<char>(value))); }
  PickleBuilder& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleBuilder& Little(uint64_t value, int width) {
    for (int i = 0; i < width; ++i) Byte(static_cast<int>(value >> (8 * i) & 255));
    return *this;
  }
  PickleBuilder& Int(int32_t value) { return Op('J').Little(static_cast<uint32_t>(value), 4); }
  PickleBuilder& Float(double value) {
    return Op('G').Little(__builtin_bswap64(std::bit_cast<uint64_t>(value)), 8);
  }
  PickleBuilder& Text(std::string_view text) { return Op('X').Little(text.size(), 4).Raw(text); }
  PickleBuilder& Global(std::string_view module, std::string_view name) {
    return Op('c').Raw(module).Raw("\n").Raw(name).Raw("\n");
  }
  PickleBuilder& Ints(const std::vector<int32_t>& values) {
    Op('(');
    for (const int32_t v : values) Int(v);
    return Op('t');
  }
  PickleBuilder& None() { return Op('N'); }
  PickleBuilder& True() { return Op('\x88'); }
  PickleBuilder& False() { return Op('\x89'); }
  PickleBuilder& Call() { return Op('R'); }
  PickleBuilder& Storage(std::string_view type, std::string_view key, int numel,
                         std::string_view device = "cpu") {
    return Op('(')
        .Text("storage")
        .Global("torch", type)
        .Text(key)
        .Text(device)
        .Int(numel)
        .Op('t')
        .Op('Q');
  }
  // A tensor as torch.save writes it.
  PickleBuilder& Tensor(std::string_view type, std::string_view key, int numel, int offset,
                        const std::vector<int32_t>& sizes, const std::vector<int32_t>& strides) {
    Global("torch._utils", "_rebuild_tensor_v2").Op('(');
    Storage(type, key, numel).Int(offset).Ints(sizes).Ints(strides).False();
    return Global("collections", "OrderedDict").Op(')').Call().Op('t').Call();
  }
  std::string Stop() { return bytes_ + '.'; }

 private:
  std::string bytes_;
};

}  // namespace floe::testing

#endif  // FLOE_TESTS_TORCH_FILE_PICKLE_BUILDER_H_
