// floe-reseal FILE [-o OUT]: recomputes the checksums of a damaged Floe program, so that fuzzing
// and hand-made damage get past them to the validator. It repairs nothing else.
//
// Exit codes: 0 done, 1 the result could not be written, 2 usage, 3 the file cannot be read or is
// too short to hold a header and its section table, 5 out of memory.
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "format/writer.h"

namespace {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kInvalidInput = 3, kResource = 5 };

constexpr char kHelp[] =
    "usage: floe-reseal FILE [-o OUT]\n"
    "\n"
    "Recomputes the header's and the sections' checksums of a Floe program, in place or into OUT.\n"
    "The program need not be valid: this is for testing how damaged programs are refused.\n";

int Complain(ExitCode code, const std::string& what) {
  std::fprintf(stderr, "floe-reseal: %s\n", what.c_str());
  return code;
}

bool ReadWhole(const std::string& path, std::vector<uint8_t>* bytes) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return false;
  const std::streamoff size = in.tellg();
  if (size < 0) return false;
  bytes->resize(static_cast<size_t>(size));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes->data()), size);
  return in.good() || size == 0;
}

// The file appears whole or not at all.
bool WriteWhole(const std::string& path, const std::vector<uint8_t>& bytes) {
  const std::string temporary = path + ".tmp" + std::to_string(getpid());
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (out && std::rename(temporary.c_str(), path.c_str()) == 0) return true;
  }
  const int error = errno;
  std::remove(temporary.c_str());
  errno = error;
  return false;
}

int Reseal(const std::string& in, const std::string& out) {
  std::vector<uint8_t> bytes;
  if (!ReadWhole(in, &bytes)) {
    return Complain(kInvalidInput, "cannot read " + in + ": " + std::strerror(errno));
  }
  if (!floe::ResealProgram(bytes.data(), bytes.size())) {
    return Complain(kInvalidInput,
                    in + ": " + std::to_string(bytes.size()) +
                        " bytes are too few for a header and the section table that it names");
  }
  if (!WriteWhole(out, bytes)) {
    return Complain(kFailed, "cannot write " + out + ": " + std::strerror(errno));
  }
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  std::string in;
  std::string out;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return kDone;
    }
    if (arg == "-o" && i + 1 < argc) {
      out = argv[++i];
    } else if (in.empty() && !arg.empty() && arg[0] != '-') {
      in = arg;
    } else {
      return Complain(kUsage, "unexpected argument '" + arg + "'\n" + kHelp);
    }
  }
  if (in.empty()) return Complain(kUsage, std::string("no FILE given\n") + kHelp);
  try {
    return Reseal(in, out.empty() ? in : out);
  } catch (const std::bad_alloc&) {
    return Complain(kResource, in + " does not fit into memory");
  }
}
