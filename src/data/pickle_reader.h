// A reader of the small part of Python's pickle format that plain data needs. It executes nothing.
//
// Pickle is a program for a stack machine that may call any function. This reader knows strings, integers,
// booleans, None, lists, tuples, dicts and contiguous uint8 numpy arrays (protocols 0 to 5, as written by
// Python 2 and 3), and four names that numpy's arrays are made of; every other opcode or name is refused.
// Input is treated as hostile: objects and memo entries are counted against a limit, nothing is allocated
// from a size that the input claims, and nesting or cycles cannot exhaust the stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rn::data {

enum class PickleKind { kNone, kBool, kInt, kString, kBytes, kList, kTuple, kDict, kGlobal, kDtype, kArray };

// One object. Children belong to the document, so shared and cyclic references are harmless.
struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  std::int64_t integer = 0;               // kInt, kBool
  std::string_view text;                  // kString (UTF-8), kBytes (also Python 2's str), kGlobal, kDtype;
                                          // kArray: its elements
  std::vector<const PickleValue*> items;  // kList, kTuple; kDict: key, value, key, value, ...
  std::vector<std::int64_t> shape;        // kArray
  bool fortran_order = false;             // kArray: first index fastest

  // The last value under a string or bytes key of a dict; nullptr: absent, or not a dict.
  const PickleValue* find(std::string_view key) const;
};

// Owns all objects of one file, and borrows the input: texts may point into it.
class PickleDocument {
 public:
  // REQUIRES: `bytes` outlives the document. Throws DataError that names `path`, the byte and what is
  // refused.
  PickleDocument(std::span<const std::byte> bytes, const std::string& path);
  PickleDocument(const PickleDocument&) = delete;
  PickleDocument& operator=(const PickleDocument&) = delete;

  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  std::deque<std::string> texts_;  // decoded texts that are not a part of the input
  const PickleValue* root_ = nullptr;
};

}  // namespace rn::data
