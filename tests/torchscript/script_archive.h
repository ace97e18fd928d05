// Small TorchScript archives, made in the tests from code.
#ifndef FLOE_TESTS_TORCHSCRIPT_SCRIPT_ARCHIVE_H_
#define FLOE_TESTS_TORCHSCRIPT_SCRIPT_ARCHIVE_H_

#include <string>

#include "compiler/import/torch_file/archive.h"
#include "tests/torch_file/pickle_builder.h"
#include "tests/torch_file/zip_builder.h"

namespace floe::testing {

// data.pkl with an object of class __torch__.M, whose attributes are a tensor w = [1, 2], an int
// n = 3 and flag = True.
inline std::string ScriptData() {
  PickleBuilder p;
  p.Global("__torch__", "M").Op(')').Op('\x81').Op('}').Op('(');
  p.Text("w").Tensor("FloatStorage", "0", 2, 0, {2}, {1});
  p.Text("n").Int(3).Text("flag").True();
  return p.Op('u').Op('b').Stop();
}

// An archive of code/__torch__.py with the given text.
inline std::string ScriptArchive(const std::string& code, const std::string& version = "3",
                                 const std::string& data = ScriptData()) {
  const float w[2] = {1, 2};
  return MakeZip({{"m/version", version + "\n"},
                  {"m/data.pkl", data},
                  {"m/data/0", std::string(reinterpret_cast<const char*>(w), sizeof(w))},
                  {"m/constants.pkl", PickleBuilder().Op(')').Stop()},
                  {"m/code/__torch__.py", code, true}});
}

// The class M with a method forward(self, x: Tensor) of the given lines, each indented by four.
inline std::string ScriptClass(const std::string& body) {
  return "class M(Module):\n"
         "  __parameters__ = [\"w\", ]\n"
         "  __buffers__ = []\n"
         "  w : Tensor\n"
         "  n : int\n"
         "  flag : bool\n"
         "  k : Final[int] = 7\n"
         "  def forward(self: __torch__.M,\n"
         "    x: Tensor) -> Any:\n" +
         body;
}

}  // namespace floe::testing

#endif  // FLOE_TESTS_TORCHSCRIPT_SCRIPT_ARCHIVE_H_
