// Runs cases of the ONNX backend suite: imports model.onnx, evaluates it on the reference ops with
// the stored inputs and compares with the stored outputs.
//
//   onnx_backend_runner [--rtol R] [--atol A] [--verbose] FOLDER...
//
// Every FOLDER that holds model.onnx and test_data_set_*/{input,output}_*.pb is a case. Prints one
// line a case (PASS, REFUSED reason, WRONG what) and the counts; exits 1 if anything was wrong.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/onnx/backend_case.h"

int main(int argc, char** argv) {
  floe::onnx::Tolerance tolerance;
  bool verbose = false;
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--rtol" && i + 1 < argc) {
      tolerance.rtol = std::atof(argv[++i]);
    } else if (arg == "--atol" && i + 1 < argc) {
      tolerance.atol = std::atof(argv[++i]);
    } else if (arg == "--verbose") {
      verbose = true;
    } else {
      folders.push_back(arg);
    }
  }
  if (folders.empty()) {
    std::fprintf(stderr, "usage: onnx_backend_runner [--rtol R] [--atol A] FOLDER...\n");
    return 2;
  }
  int passed = 0, frozen = 0, refused = 0, wrong = 0;
  for (const std::string& folder : folders) {
    const auto read = floe::onnx::ReadFolder(folder);
    if (!read.ok()) {
      std::fprintf(stderr, "%s\n", std::string(read.status().message()).c_str());
      return 2;
    }
    const floe::onnx::CaseResult r = floe::onnx::RunCase(*read, tolerance);
    const std::string& name = read->name;
    switch (r.verdict) {
      case floe::onnx::Verdict::kPass:
        ++passed;
        frozen += r.frozen ? 1 : 0;
        if (verbose) std::printf("PASS %s\n", name.c_str());
        break;
      case floe::onnx::Verdict::kRefused:
        ++refused;
        std::printf("REFUSED %s: %s\n", name.c_str(), r.detail.c_str());
        break;
      case floe::onnx::Verdict::kWrong:
        ++wrong;
        std::printf("WRONG %s: %s\n", name.c_str(), r.detail.c_str());
        break;
    }
    std::fflush(stdout);
  }
  std::printf("%d passed (%d of them with shape inputs frozen), %d refused, %d wrong\n", passed,
              frozen, refused, wrong);
  return wrong == 0 ? 0 : 1;
}
