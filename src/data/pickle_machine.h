// The stack machine behind PickleDocument: one object per parse. Internal to the pickle reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/pickle_reader.h"

namespace rn::data {

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& path, PickleDocument& document);

  // Runs to the STOP opcode and returns the one object left on the stack.
  const PickleValue* run();

 private:
  [[noreturn]] void fail(const std::string& what) const;  // DataError with path and the byte of the opcode

  // Input.
  std::string_view take(std::uint64_t count);  // the next `count` bytes
  std::string_view take_line();                // up to and without the next newline
  std::uint64_t take_unsigned(int width);      // little-endian
  std::int64_t parse_integer(std::string_view text) const;

  // Opcodes by family; each returns false for an opcode that is not its own.
  bool run_number(unsigned char opcode);
  bool run_text(unsigned char opcode);
  bool run_container(unsigned char opcode);
  bool run_memo(unsigned char opcode);
  bool run_object(unsigned char opcode);

  // Stack.
  PickleValue* make(PickleKind kind);
  void push(PickleValue* value);  // counts against the limit
  void push_text(PickleKind kind, std::string_view text);
  void push_integer(PickleKind kind, std::int64_t value);
  PickleValue* pop();
  PickleValue* top();
  std::vector<const PickleValue*> pop_to_mark();
  void push_tuple(std::vector<const PickleValue*> items);
  void append(std::vector<const PickleValue*> items, PickleKind kind);
  void memoize(std::uint64_t index);
  void recall(std::uint64_t index);
  std::string_view keep(std::string text);  // stores a decoded text in the document

  // The four known callables, and the state of what they made.
  void push_global(std::string_view module, std::string_view name);
  void reduce();
  void build();
  void build_array(PickleValue& array, const std::vector<const PickleValue*>& state);
  void set_array(PickleValue& array, const PickleValue& shape, const PickleValue& dtype,
                 const PickleValue& data, bool fortran_order);

  const std::span<const std::byte> bytes_;
  const std::string& path_;
  PickleDocument& document_;
  std::size_t at_ = 0;  // next byte
  std::size_t opcode_at_ = 0;
  std::size_t pushes_ = 0;
  std::size_t decoded_ = 0;  // bytes of all kept texts
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  // stack sizes
  std::vector<PickleValue*> memo_;
};

}  // namespace rn::data
