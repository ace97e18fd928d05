// write_samples DIR: writes DIR/mlp.floe, the program that the consumers run.
#include <cstdio>
#include <string>
#include <vector>

#include "format/writer.h"
#include "tests/format/sample_programs.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<uint8_t> bytes;
  if (!floe::WriteProgram(floe::testing::MlpProgram().View(), &bytes).ok()) return 1;
  std::FILE* file = std::fopen((std::string(argv[1]) + "/mlp.floe").c_str(), "wb");
  if (file == nullptr) return 1;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && written ? 0 : 1;
}
