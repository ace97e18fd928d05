// The C API as such: used from C, called with nonsense, with older and newer structs.
#include <gmock/gmock.h>

#include <cstring>

#include "format/status.h"
#include "runtime/floe.h"
#include "tests/format/sample_programs.h"
#include "tests/runtime/c_api_use.h"
#include "tests/runtime/support.h"

namespace floe::testing {
namespace {

using ::testing::HasSubstr;

TEST(CApi, IsUsableFromC) {
  const std::vector<uint8_t> file = FileOf(MlpProgram());
  EXPECT_EQ(UseFromC(file.data(), file.size()), 0) << "line of c_api_use.c";
}

TEST(CApi, NumbersAreTheFormats) {
  EXPECT_EQ(static_cast<int>(Code::kInternal), FLOE_INTERNAL);
  EXPECT_EQ(static_cast<int>(Code::kDeadlineExceeded), FLOE_DEADLINE_EXCEEDED);
  EXPECT_EQ(static_cast<int>(Code::kOutOfRange), FLOE_OUT_OF_RANGE);
  EXPECT_EQ(static_cast<int>(DType::kBool), FLOE_BOOL);
  EXPECT_EQ(static_cast<int>(DType::kBF16), FLOE_BF16);
  EXPECT_EQ(kMaxRank, FLOE_MAX_RANK);
  EXPECT_EQ(kNoIndex, FLOE_NO_INDEX);
  EXPECT_EQ(floe_version(), static_cast<uint32_t>(FLOE_VERSION));
}

TEST(CApi, NullsAreRefused) {
  const Model model = OpenProgram(StateProgram());
  Session session = MakeSession(model);
  floe_model* m = model.get();
  floe_session* s = session.get();
  floe_error e;
  size_t size = 0;
  floe_model* opened = nullptr;
  floe_session* created = nullptr;
  const floe_status statuses[] = {
      floe_model_open_file(nullptr, nullptr, &opened, &e),
      floe_model_open_file("x", nullptr, nullptr, &e),
      floe_model_open_bytes(nullptr, 0, nullptr, &opened, &e),
      floe_model_get_info(nullptr, nullptr),
      floe_model_get_info(m, nullptr),
      floe_model_get_method(nullptr, 0, nullptr),
      floe_model_get_method(m, 0, nullptr),
      floe_model_get_bucket(nullptr, 0, 0, nullptr),
      floe_model_get_spec(nullptr, FLOE_INPUT, 0, 0, nullptr),
      floe_model_get_spec(m, FLOE_INPUT, 0, 0, nullptr),
      floe_model_get_spec(m, FLOE_METHOD, 0, 0, nullptr),
      floe_model_find(m, FLOE_INPUT, 0, nullptr, nullptr),
      floe_model_get_golden(nullptr, 0, nullptr),
      floe_model_get_golden_tensor(nullptr, 0, 0, nullptr, nullptr, nullptr),
      floe_session_create(nullptr, nullptr, &created, &e),
      floe_session_create(m, nullptr, nullptr, &e),
      floe_session_bind(nullptr, 0, nullptr, 0, &e),
      floe_session_bind(s, 0, nullptr, 1, &e),
      floe_session_set_input(nullptr, 0, 0, nullptr, 0, &e),
      floe_session_set_output(nullptr, 0, 0, nullptr, 0, &e),
      floe_session_get_input(s, 0, 0, nullptr, &e),
      floe_session_get_output(nullptr, 0, 0, nullptr, &e),
      floe_session_run(nullptr, 0, nullptr, &e),
      floe_session_get_info(nullptr, 0, nullptr),
      floe_session_reset_states(nullptr),
      floe_session_copy_states(s, nullptr, &e),
      floe_session_get_state(s, 0, nullptr, &e),
      floe_session_save_states(s, nullptr, 8, &size, &e),
      floe_session_load_states(s, nullptr, 8, &e),
      floe_session_take_profile(s, 0, nullptr, 4, &size),
      floe_thread_pool_create(nullptr, nullptr, &e),
      floe_get_backend(0, nullptr),
  };
  for (size_t i = 0; i < std::size(statuses); ++i) {
    EXPECT_EQ(statuses[i], FLOE_INVALID_ARGUMENT) << i;
  }
  floe_model_release(nullptr);
  floe_session_destroy(nullptr);
  floe_thread_pool_release(nullptr);
  EXPECT_EQ(floe_thread_pool_size(nullptr), 1u);
  EXPECT_EQ(floe_error_format(nullptr, nullptr, 0), 2u);
  EXPECT_EQ(floe_model_get_name(nullptr, FLOE_INPUT, 0, 0, nullptr, 0), 0u);
}

TEST(CApi, WhatIsNotThereIsNotFound) {
  const Model model = OpenProgram(StateProgram());
  floe_method_info method = {};
  method.struct_size = sizeof(method);
  EXPECT_EQ(floe_model_get_method(model.get(), 2, &method), FLOE_NOT_FOUND);
  floe_bucket_info bucket = {};
  bucket.struct_size = sizeof(bucket);
  EXPECT_EQ(floe_model_get_bucket(model.get(), 0, 1, &bucket), FLOE_NOT_FOUND);
  floe_tensor_spec spec = {};
  spec.struct_size = sizeof(spec);
  EXPECT_EQ(floe_model_get_spec(model.get(), FLOE_OUTPUT, 1, 1, &spec), FLOE_NOT_FOUND);
  EXPECT_EQ(floe_model_get_spec(model.get(), FLOE_STATE, 0, 1, &spec), FLOE_NOT_FOUND);
  floe_golden golden = {};
  golden.struct_size = sizeof(golden);
  EXPECT_EQ(floe_model_get_golden(model.get(), 0, &golden), FLOE_NOT_FOUND);
  EXPECT_EQ(model.Name(FLOE_STATE, 0), "sum");
  EXPECT_EQ(model.Name(FLOE_STATE, 1), "");
  EXPECT_EQ(model.Name(FLOE_METHOD, 1), "peek");
  EXPECT_EQ(floe_model_get_name(model.get(), static_cast<floe_entity>(9), 0, 0, nullptr, 0), 0u);
}

TEST(CApi, StructsOfOtherSizesAreRefusedOrCut) {
  const Model model = OpenProgram(StateProgram());
  floe_session* session = nullptr;
  floe_error error;
  floe_session_options options = FLOE_SESSION_OPTIONS_INIT;
  for (const size_t size : {size_t{0}, size_t{4}, sizeof(options) - 1, sizeof(options) + 8}) {
    options.struct_size = size;
    EXPECT_EQ(floe_session_create(model.get(), &options, &session, &error), FLOE_INVALID_ARGUMENT);
    EXPECT_EQ(error.rule, static_cast<int>(Rule::kHostStructSize));
  }
  // An older caller's info struct gets its part, and not a byte more.
  alignas(floe_model_info) unsigned char bytes[sizeof(floe_model_info)];
  std::memset(bytes, 0xee, sizeof(bytes));
  auto* info = reinterpret_cast<floe_model_info*>(bytes);
  info->struct_size = offsetof(floe_model_info, symbols);
  EXPECT_EQ(floe_model_get_info(model.get(), info), FLOE_OK);
  EXPECT_EQ(info->methods, 2u);
  EXPECT_EQ(info->states, 1u);
  EXPECT_EQ(info->symbols, 0xeeeeeeeeu);
  floe_open_options open = FLOE_OPEN_OPTIONS_INIT;
  open.allocator.release = [](void*, void*, size_t) {};
  floe_model* opened = nullptr;
  EXPECT_EQ(floe_model_open_file("x", &open, &opened, &error), FLOE_INVALID_ARGUMENT);
}

TEST(CApi, StatesAreSavedIntoTheCallersBuffer) {
  const Model model = OpenProgram(StateProgram());
  Session session = MakeSession(model);
  size_t size = 0;
  floe_error error;
  ASSERT_EQ(floe_session_save_states(session.get(), nullptr, 0, &size, &error), FLOE_OK);
  std::vector<char> blob(size);
  EXPECT_EQ(floe_session_save_states(session.get(), blob.data(), size - 1, &size, &error),
            FLOE_RESOURCE_EXHAUSTED);
  EXPECT_EQ(floe_session_save_states(session.get(), blob.data(), size, &size, &error), FLOE_OK);
}

TEST(ErrorFormat, CutsAtCapacityAndCountsAll) {
  floe_error error = {};
  error.code = FLOE_OUT_OF_RANGE;
  error.rule = static_cast<int>(Rule::kRunIndex);
  error.instruction = 7;
  error.value = FLOE_NO_INDEX;
  error.operand = 1;
  error.axis = -1;
  std::strcpy(error.op, "gather");
  std::strcpy(error.node, "/embed");
  const size_t full = floe_error_format(&error, nullptr, 0);
  std::string text(full + 1, 'x');
  EXPECT_EQ(floe_error_format(&error, text.data(), text.size()), full);
  EXPECT_EQ(text[full], '\0');
  text.resize(full);
  EXPECT_THAT(text, HasSubstr("gather '/embed' (instruction 7), operand 1"));
  EXPECT_THAT(text, HasSubstr("[OUT_OF_RANGE, kRunIndex]"));
  for (size_t capacity = 1; capacity <= full + 1; ++capacity) {
    std::vector<char> cut(capacity + 1, 'x');
    EXPECT_EQ(floe_error_format(&error, cut.data(), capacity), full);
    EXPECT_EQ(cut[capacity], 'x');
    EXPECT_EQ(std::string(cut.data()), text.substr(0, capacity - 1));
  }
  // Strings that a caller did not terminate, and numbers that mean nothing.
  std::memset(&error, 0x7f, sizeof(error));
  EXPECT_GT(floe_error_format(&error, nullptr, 0), sizeof(error.detail));
}

TEST(ErrorFormat, ARunErrorNamesItsNode) {
  // Index 9 into an axis of 4, met at run time.
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t i = b.AddInput("i", DType::kI64, {2});
  const uint32_t y = b.AddOutput("y", DType::kF32, {2});
  b.AddMethod("main", {x, i}, {y}, [&] {
    b.AddInstruction(KernelId::kGather, {x, i}, {y}, {0}, {}, "/embed");
  });
  const Model model = OpenProgram(b.Build());
  Session session = MakeSession(model);
  const std::vector<float> data = {1, 2, 3, 4};
  std::vector<int64_t> index = {1, 9};
  ASSERT_FLOE_OK(session.Bind({TensorOf(data.data(), {4}), TensorOf(index.data(), {2})}));
  const Outcome o = session.Run();
  EXPECT_EQ(o.code(), FLOE_OUT_OF_RANGE);
  EXPECT_THAT(o.Message(), HasSubstr("'/embed'"));
  index[1] = -4;
  ASSERT_FLOE_OK(session.Run());
  EXPECT_EQ(ReadOutput<float>(session), (std::vector<float>{2, 1}));
}

}  // namespace
}  // namespace floe::testing
