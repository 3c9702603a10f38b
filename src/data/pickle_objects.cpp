// The part of PickleMachine that knows numpy: the four callables that a pickled uint8 array is made of.
#include <array>

#include "core/error.h"
#include "data/pickle_machine.h"
#include "data/pickle_text.h"

namespace rn::data {
namespace {

// Canonical names: numpy 2 moved numpy.core to numpy._core.
constexpr std::string_view kReconstruct = "numpy.core.multiarray._reconstruct";
constexpr std::string_view kFrombuffer = "numpy.core.numeric._frombuffer";
constexpr std::string_view kNdarray = "numpy.ndarray";
constexpr std::string_view kDtype = "numpy.dtype";
constexpr std::string_view kEncode = "_codecs.encode";
constexpr std::array kKnown = {kReconstruct, kFrombuffer, kNdarray, kDtype, kEncode};

constexpr std::size_t kMaxDimensions = 8;

}  // namespace

bool PickleMachine::run_object(unsigned char opcode) {
  switch (opcode) {
    case 'c': {
      const auto module = take_line();
      const auto name = take_line();
      push_global(module, name);
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue* name = pop();
      const PickleValue* module = pop();
      if (name->kind != PickleKind::kString || module->kind != PickleKind::kString)
        fail("a name that is no string");
      push_global(module->text, name->text);
      return true;
    }
    case 'R':
      reduce();
      return true;
    case 'b':
      build();
      return true;
    default:
      return false;
  }
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  std::string full = cat(module, ".", name);
  if (full.starts_with("numpy._core.")) full.erase(full.find('_'), 1);
  for (const auto known : kKnown) {
    if (full == known) return push_text(PickleKind::kGlobal, known);
  }
  fail(cat("it asks for '", full.substr(0, 80), "', which plain data never needs: refused, nothing was run"));
}

void PickleMachine::reduce() {
  const PickleValue* arguments = pop();
  const PickleValue* callable = pop();
  if (callable->kind != PickleKind::kGlobal || arguments->kind != PickleKind::kTuple)
    fail("a call of no function");
  const auto& args = arguments->items;
  if (callable->text == kReconstruct && args.size() == 3 && args[0]->text == kNdarray) {
    push(make(PickleKind::kArray));  // empty until BUILD
  } else if (callable->text == kDtype && !args.empty()) {
    const auto& name = *args[0];
    if ((name.kind != PickleKind::kString && name.kind != PickleKind::kBytes) || name.text != "u1")
      fail(cat("an array of dtype '", name.text.substr(0, 20), "' instead of u1 (bytes)"));
    push_text(PickleKind::kDtype, "u1");
  } else if (callable->text == kEncode && args.size() == 2 && args[0]->kind == PickleKind::kString &&
             args[1]->text == "latin1") {
    auto bytes = utf8_to_latin1(args[0]->text);
    if (!bytes) fail("bytes written as text that is not Latin-1");
    push_text(PickleKind::kBytes, keep(std::move(*bytes)));
  } else if (callable->text == kFrombuffer && args.size() == 4) {
    PickleValue* array = make(PickleKind::kArray);
    set_array(*array, *args[2], *args[1], *args[0], args[3]->text == "F");
    push(array);
  } else {
    fail(cat("unexpected arguments of ", callable->text));
  }
}

void PickleMachine::build() {
  const PickleValue* state = pop();
  PickleValue& target = *top();
  if (state->kind != PickleKind::kTuple) fail("a state that is no tuple");
  if (target.kind == PickleKind::kArray) return build_array(target, state->items);
  // A dtype's state is its byte order and sub-fields, which a single byte does not have.
  if (target.kind != PickleKind::kDtype) fail("a state for something that is no array");
}

// numpy's __setstate__: (version, shape, dtype, is_fortran, data).
void PickleMachine::build_array(PickleValue& array, const std::vector<const PickleValue*>& state) {
  if (state.size() != 5) fail("an array state of another version");
  set_array(array, *state[1], *state[2], *state[4], state[3]->integer != 0);
}

void PickleMachine::set_array(PickleValue& array, const PickleValue& shape, const PickleValue& dtype,
                              const PickleValue& data, bool fortran_order) {
  if (dtype.kind != PickleKind::kDtype || data.kind != PickleKind::kBytes ||
      shape.kind != PickleKind::kTuple || shape.items.size() > kMaxDimensions) {
    fail("an array that is not one of bytes");
  }
  std::uint64_t elements = 1;
  array.shape.clear();
  for (const auto* size : shape.items) {
    // Both factors stay below 2^32, so the product cannot overflow.
    if (size->kind != PickleKind::kInt || size->integer < 0 || size->integer > INT32_MAX ||
        elements > INT32_MAX)
      fail("an array of an impossible shape");
    array.shape.push_back(size->integer);
    elements *= static_cast<std::uint64_t>(size->integer);
  }
  if (elements != data.text.size()) {
    fail(cat("an array of ", elements, " elements with ", data.text.size(), " bytes of data"));
  }
  array.text = data.text;
  array.fortran_order = fortran_order;
}

}  // namespace rn::data
